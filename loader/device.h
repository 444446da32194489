/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader must know of a network device, in this namespace. */
#ifndef SLUICE_LOADER_DEVICE_H
#define SLUICE_LOADER_DEVICE_H

#include <stddef.h>
#include <stdint.h>

/* Refuses what has no Ethernet header; logs.  *ret_ifindex is in this
 * process's namespace. */
int device_find(const char *name, uint32_t *ret_ifindex);

/* Name of its driver; "?" if it does not say. */
void device_driver(const char *name, char *buffer, size_t size);

/* Its MTU in bytes, Ethernet header not counted.  Logs. */
int device_mtu(const char *name, uint32_t *ret_mtu);

/* Warns if the kernel would not forward what comes in there.  `family`: "ipv4"
 * or "ipv6".  It is the operator's setting, never changed here. */
void device_warn_forwarding(const char *name, const char *family);

/* The XDP program that is there, whoever attached it: 0 none. */
uint32_t device_xdp_program(uint32_t ifindex);

#endif

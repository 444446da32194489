/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks of a pcapng file (draft-ietf-opsawg-pcapng), each written whole into the
 * caller's buffer.  Pure: no file, no clock.
 *
 * A file is one section block, then an interface block before the first packet of
 * that interface, then packet blocks.  All is in this host's byte order, which the
 * section block tells the reader. */
#ifndef SLUICE_CLI_PCAPNG_H
#define SLUICE_CLI_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

#define PCAPNG_SNAP_MAX 512 /* bytes of a packet */
#define PCAPNG_TEXT_MAX 512 /* bytes of a comment or name; what is longer is cut */
#define PCAPNG_BLOCK_MAX (PCAPNG_SNAP_MAX + PCAPNG_TEXT_MAX + 64)

struct pcapng_packet {
	uint32_t interface; /* counts interface blocks of the section from 0 */
	uint64_t at_ns; /* UTC since 1970 */
	const uint8_t *snap; /* from the Ethernet header on */
	uint32_t snap_bytes; /* at most PCAPNG_SNAP_MAX; may be 0 */
	uint32_t frame_bytes; /* of the whole frame */
	const char *comment; /* UTF-8; NULL or "": none */
};

/* Each returns how many bytes of `buffer` it filled. */
size_t pcapng_section_write(uint8_t buffer[PCAPNG_BLOCK_MAX], const char *application);
/* Ethernet, times in ns. */
size_t pcapng_interface_write(uint8_t buffer[PCAPNG_BLOCK_MAX], const char *name,
			      uint32_t snap_bytes_max);
size_t pcapng_packet_write(uint8_t buffer[PCAPNG_BLOCK_MAX], const struct pcapng_packet *packet);

#endif

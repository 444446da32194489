/* SPDX-License-Identifier: BSD-2-Clause */
/* The parent's own pages: /metrics and /healthz. */
#ifndef SLUICE_PROXY_PAGES_H
#define SLUICE_PROXY_PAGES_H

struct server_answer;

/* A server_handler; ctx: struct proxy. */
void pages_answer(void *ctx, const char *path, struct server_answer *ret_answer);

#endif

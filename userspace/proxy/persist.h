/* SPDX-License-Identifier: BSD-2-Clause */
/* Session persistence (GEP-1619): a token in a cookie or header that brings a client
 * back to the endpoint that served it.  Pure.
 *
 * A token is the endpoint's id and generation and two times, masked and authenticated
 * with the proxy's key (SipHash-2-4 of 128 bits as the tag, and of the tag as the mask):
 * a client can neither read it nor make one, only give back what it was given.  It holds
 * for every rule with the same session name whose backends have that endpoint.
 */
#ifndef SLUICE_PROXY_PERSIST_H
#define SLUICE_PROXY_PERSIST_H

#include <stdbool.h>
#include <stdint.h>

#include "userspace/base/route.h"
#include "userspace/base/siphash.h"
#include "userspace/base/text.h"
#include "userspace/http/parser.h"

#define PERSIST_TEXT_LENGTH 43

struct persist_key {
	uint8_t tag[SIPHASH_KEY_BYTES];
	uint8_t mask[SIPHASH_KEY_BYTES];
};

struct persist_token {
	uint32_t endpoint;
	uint32_t generation;
	uint32_t begun_s; /* CLOCK_REALTIME: when the session began, */
	uint32_t used_s; /* and when the token was made */
};

/* The key in `path`, which is made if it is not there: 0600, of the kernel's random bytes.
 * Logs what fails. */
int persist_key_load(const char *path, struct persist_key *ret_key);

void persist_token_format(const struct persist_key *key, const char *name,
			  const struct persist_token *token,
			  char ret_text[PERSIST_TEXT_LENGTH + 1]);
/* False: not one of ours of that session name. */
bool persist_token_parse(const struct persist_key *key, const char *name, struct http_span text,
			 struct persist_token *ret_token);

/* What the request gives for this session; of length 0: nothing. */
struct http_span persist_find(const struct http_head *head,
			      const struct snapshot_persistence *persistence);
/* Is a token still good for what the rule says?  Not one from the future either. */
bool persist_is_current(const struct snapshot_persistence *persistence,
			const struct persist_token *token, uint32_t now_s);
/* The value of the answer's header, Set-Cookie or the session's own. */
void persist_value_format(const struct snapshot_persistence *persistence, const char *text,
			  const struct persist_token *token, struct text *out);

#endif

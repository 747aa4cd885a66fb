/*
 * A body of any word: the first byte says which.  What unpacks packs to the same
 * bytes again, so that nothing is heard that could not have been said.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "role/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

typedef bool again_fn(struct bytes, struct arena *, struct buffer *);
#define AGAIN(x)                                                                      \
	static bool again_##x(struct bytes body, struct arena *a, struct buffer *out) \
	{                                                                             \
		struct word_##x w;                                                    \
		bool            good = word_unpack_##x(body, a, &w);                  \
		if (good)                                                             \
			word_pack_##x(out, &w);                                       \
		return good;                                                          \
	}
AGAIN(resource)
AGAIN(peer) AGAIN(status) AGAIN(wrong) AGAIN(sign) AGAIN(signed) AGAIN(auth_start) AGAIN(auth_done)
	AGAIN(resolve) AGAIN(resolved) AGAIN(segment) AGAIN(judge) AGAIN(judged) AGAIN(letter)
		AGAIN(deliver) AGAIN(delivered) AGAIN(session) AGAIN(seek) AGAIN(text) AGAIN(texted) AGAIN(decode) AGAIN(decoded) AGAIN(moved) AGAIN(ask)
			AGAIN(say) AGAIN(lookup) AGAIN(looked)
AGAIN(credential_ask) AGAIN(credential_said) AGAIN(rewrite) AGAIN(table_ask) AGAIN(table_said)
AGAIN(scan) AGAIN(scanned)
AGAIN(policy_ask) AGAIN(policy_said) AGAIN(policy_told)
AGAIN(milter_event) AGAIN(milter_letter) AGAIN(milter_said) AGAIN(milter_made)
AGAIN(url) AGAIN(route) AGAIN(routed) AGAIN(send) AGAIN(sent)
AGAIN(proxy) AGAIN(proxied) AGAIN(pipe) AGAIN(event) AGAIN(tlsrpt) AGAIN(refit) AGAIN(refitted) AGAIN(tlsrpt_said)
AGAIN(table_ask_all) AGAIN(table_said_all)
#undef AGAIN

				static again_fn *const bodies[] = {
					again_resource,   again_peer,      again_status,
					again_wrong,      again_sign,      again_signed,
					again_auth_start, again_auth_done, again_resolve,
					again_resolved,   again_segment,   again_judge,
					again_judged,     again_letter,    again_deliver,
					again_delivered,  again_session,   again_seek, again_text, again_texted, again_decode, again_decoded,
					again_moved,      again_ask,       again_say,
					again_lookup,     again_looked,
					again_credential_ask, again_credential_said, again_rewrite, again_table_ask, again_table_said,
					again_scan, again_scanned,
					again_policy_ask, again_policy_said, again_policy_told,
					again_milter_event, again_milter_letter, again_milter_said, again_milter_made,
					again_url, again_route, again_routed, again_send, again_sent,
					again_proxy, again_proxied, again_pipe, again_event, again_tlsrpt, again_refit, again_refitted, again_tlsrpt_said,
					again_table_ask_all, again_table_said_all,
				};

int
LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
	struct bytes  body = { (const char *)at + 1, len - 1 };
	struct arena *life;
	struct buffer again = { 0 };

	if (len == 0)
		return 0;
	life = arena_open(NULL);
	if (bodies[at[0] % COUNT(bodies)](body, life, &again) &&
	    !bytes_equal(buffer_bytes(&again), body))
		abort();
	buffer_free(&again);
	arena_close(&life);
	return 0;
}

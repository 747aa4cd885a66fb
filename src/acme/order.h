/*
 * order -- a certificate from an ACME server, from the directory to the chain (rfc8555:7)
 *
 * From:     role/certifier, in a thread of its own
 * Touches:  what its hooks touch
 *
 * order_run() goes the whole way and waits where the server says so: an account (made, or found by its key, with these
 * contacts), an order for all names, each authorization by one kind of challenge, the request, the chain.  False with
 * what is wrong in *out.
 *
 * Hooks:  fetch()  one request; false with words in answer->why when there is no answer.  Body NULL: none.
 *         show()   from now on whoever looks finds the answer to this challenge; forget() no more.
 *         wait()   so long; false: there is no time left, all ends.
 *
 * Bounded: names, polls, sizes of answers (by fetch()), and the minutes it may take (by the caller's wait()).
 */
#ifndef ACME_ORDER_H
#define ACME_ORDER_H

#include "acme/jose.h"
#include "acme/request.h"
#include "base/arena.h"

enum { ORDER_NAMES_MOST = 100, ORDER_URL_MOST = 1024, ORDER_WHY_MOST = 512 };

struct order_answer {
	long          status;
	char          nonce[256], location[ORDER_URL_MOST];
	int64_t       retry_s;           /* Retry-After: 0 when there is none, or it is no number */
	struct buffer body;
	char          why[ORDER_WHY_MOST];
};
struct order_challenge {
	const char  *kind;               /* "http-01", "tls-alpn-01"                */
	const char  *name, *token;
	struct bytes authorization;      /* the token, a dot, the thumbprint         */
};
struct order_hooks {
	bool (*fetch)(void *ctx, const char *method, const char *url, const struct buffer *body, struct order_answer *);
	bool (*show)(void *ctx, const struct order_challenge *);
	void (*forget)(void *ctx);
	bool (*wait)(void *ctx, int64_t ms);
};
struct order_wish {
	const char               *directory;          /* the server's URL            */
	const struct jose_key *account;
	struct jose_binding       binding;            /* for an authority that knows its customers */
	const char *const        *name, *const *contact;
	size_t                    names, contacts;
	const char               *challenge;
	enum request_kind         kind;
};
struct order_result {
	struct buffer key, chain;        /* PEM                                     */
	int64_t       retry_s;           /* the server wants us to wait so long      */
	char          why[2 * ORDER_WHY_MOST];
};
bool order_run(const struct order_wish *, const struct order_hooks *, void *ctx, struct order_result *out);

#endif

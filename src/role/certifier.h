/*
 * certifier -- certificates that an ACME server gives, made anew before they end (rfc8555)
 *
 * From:     postmaster, who starts it when tls_acme_names says something; tls-settings, for where they lie
 * Touches:  certificates/ of the mail directory, the ACME server, and those who come to see the challenges' answers
 *
 * certificates/account.key   the key of the account, in PEM
 * certificates/NAME.pem      NAME is the first of tls_acme_names: lines "ACME server: URL" and "Names: NAME ...", the key, the chain.  It is
 *                            made beside and renamed, so that key and chain are always of one another.
 *
 * certifier_path()   that file, whether it is there or not; false: none is asked for.
 * certifier_wanted() whether the role has something to do.
 * certifier_check()  what is wrong with its settings, a line each.
 *
 * certifier-order.c: order_begin() a certificate is asked for, in a thread; order_done() is called with how it ended.
 * certifier-door.c: who connects sees the answers to challenges, while there are some; everybody else is sent away.
 */
#ifndef ROLE_CERTIFIER_H
#define ROLE_CERTIFIER_H

#include <pthread.h>
#include <stdatomic.h>

#include "acme/order.h"
#include "role/house.h"

enum { CHALLENGE_HTTP, CHALLENGE_TLS };
struct certifier_settings {
	struct setting_list names, contact, http_listen, tls_listen;
	const char *server, *authorities, *account_id, *account_key_file;
	bool        staging, agree;
	int         challenge;            /* CHALLENGE_... */
	int         kind;                 /* enum request_kind */
	int64_t     renew_ms;
};
extern const struct setting_table certifier_setting_table;
const char *certifier_server(const struct certifier_settings *);
bool certifier_path(struct settings *, char *out, size_t room);
bool certifier_wanted(struct settings *);
bool certifier_check(struct settings *, struct buffer *errors, struct buffer *warnings);

/* What is shown to those who look, in PEM for tls-alpn-01. */
struct shown_answer { char name[256], token[256]; struct buffer text, key, certificate; };
/* The loop and its threads share it. */
struct shown {
	pthread_mutex_t     lock;
	struct shown_answer answer[ORDER_NAMES_MOST];
	size_t              count;
};
bool shown_add(struct shown *, const struct order_challenge *);
void shown_forget(struct shown *);

/* One order, in its thread. */
struct errand_of_order {
	struct house       *house;
	struct arena       *life;
	struct order_wish   wish;
	struct jose_key *account;
	const char         *authorities, *file, *server;
	struct shown       *shown;
	atomic_bool         leaving;
	int64_t             until_ms;     /* no longer than that */
	bool                good;
	struct buffer       secret;       /* of wish.binding */
	struct order_result result;
};
void order_work(void *ctx);           /* run of loop_job() */

struct acme_door;
struct acme_doors {
	struct house     *house;
	struct shown     *shown;
	struct acme_door *first;
	unsigned          busy;
};
void acme_doors_set(struct acme_doors *);
/* Somebody the guide has let in, who asked so much. */
void acme_doors_bring(struct acme_doors *, int fd, struct bytes asked);
void acme_doors_close(struct acme_doors *);

#endif

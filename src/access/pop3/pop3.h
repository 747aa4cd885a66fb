/*
 * pop3 -- the TRANSACTION and UPDATE states of POP3 (rfc1939, rfc2449)
 *
 * From:     role/keeper, which got the descriptor from a login
 * To:       store: the mailbox INBOX of the account
 * Touches:  the descriptor it was given
 *
 * pop3_service_open(), _config(), _close(), _kick(), _end(), _each(), _count() and pop3_open()
 * are the sisters of those in access/imap/imap.h.  pop3_open() says the "+OK"
 * of PASS, APOP or AUTH; an account that cannot be opened gets
 * "-ERR [SYS/TEMP]" and the end.
 *
 * In the facts of a session the tag is "UTF8" when the client asked for that mode (rfc6856:2).
 *
 * A session keeps the numbers and sizes of the messages that were there when
 * it began.  Several sessions may read one mailbox at a time; a message
 * another one has expunged meanwhile answers -ERR.  DELE is carried out at QUIT and
 * "+OK" is said when it is durable.
 */
#ifndef ACCESS_POP3_POP3_H
#define ACCESS_POP3_POP3_H

#include "access/facts.h"
#include "base/setting.h"
#include "channel/loop.h"
#include "store/store.h"

struct pop3_needs {
	/* The session has ended; as in access/imap/imap.h. */
	void (*over)(void *ctx, uint32_t ticket, uint64_t account);
};

struct pop3_settings {                 /* rows pop3_*                             */
	int64_t autologout_ms;         /* pop3_autologout                         */
	int64_t errors_most;           /* pop3_error_limit                        */
	bool    no_flag_updates;       /* pop3_no_flag_updates                    */
	bool    lock_session;          /* pop3_lock_session                       */
	bool    enable_last;           /* pop3_enable_last                        */
	const char *deleted_flag;      /* pop3_deleted_flag                       */
	const char *uidl_format;       /* pop3_uidl_format: uniqueid.h            */
	int64_t expire_ms;             /* pop3_expire                             */
	int64_t login_delay_ms;        /* pop3_login_delay                        */
};
extern const struct setting_table pop3_setting_table;

struct pop3_config {
	struct pop3_settings rows;
};

struct pop3_service;
struct pop3_service *pop3_service_open(struct loop *, struct store *, const struct pop3_config *,
                                       const struct pop3_needs *, void *ctx);
void   pop3_service_config(struct pop3_service *, const struct pop3_config *);
void   pop3_service_close(struct pop3_service **);
size_t pop3_service_kick(struct pop3_service *, uint64_t account, const char *words);
bool   pop3_service_end(struct pop3_service *, uint32_t ticket, const char *words);
void   pop3_service_each(struct pop3_service *,
                         void (*each)(void *ctx, uint32_t ticket, const struct access_facts *, const char *state), void *ctx);
size_t pop3_service_count(const struct pop3_service *);
void   pop3_open(struct pop3_service *, int fd, const struct access_facts *, uint32_t ticket);

#endif

/* What all POP3 sessions of a keeper share: settings, and whose turn it is. */
#include "access/pop3/session.h"
#include "base/clock.h"

enum { LOGINS_MOST = 65536 };

#define AT(field) offsetof(struct pop3_settings, field)
/* clang-format off */
static const struct setting pop3_rows[] = {
	{ "pop3_autologout", SETTING_TIME, AT(autologout_ms), "10m",
	  "Silence after which a POP3 session is ended, without deleting (rfc1939:3 asks for 10 minutes at least).", NULL, 1000, 7 * 86400000LL, "0.1" },
	{ "pop3_error_limit", SETTING_NUMBER, AT(errors_most), "20",
	  "Commands answered -ERR one after the other before the POP3 session is ended; one that is answered +OK begins the count anew, but a hundred times as many in all end it too. 0: no limit.", NULL, 0, 1000000, "0.1" },
	{ "pop3_no_flag_updates", SETTING_BOOL, AT(no_flag_updates), "no",
	  "Leave messages unseen that were fetched with RETR.", NULL, 0, 0, "0.1" },
	{ "pop3_lock_session", SETTING_BOOL, AT(lock_session), "no",
	  "Refuse a second POP3 session of an account with [IN-USE].", NULL, 0, 0, "0.1" },
	{ "pop3_enable_last", SETTING_BOOL, AT(enable_last), "no",
	  "Answer the command LAST, which POP3 once had (rfc1460).", NULL, 0, 0, "0.1" },
	{ "pop3_deleted_flag", SETTING_WORD, AT(deleted_flag), "",
	  "The keyword, as $POP3Deleted, that DELE gives to a message instead of removing it: POP3 shows it no more, IMAP does. "
	  "Empty: it is removed.", NULL, 0, 0, "0.1" },
	{ "pop3_uidl_format", SETTING_TEXT, AT(uidl_format), "%08Xu%08Xv",
	  "What UIDL calls a message, as Dovecot's setting of the name has it: %u is the uid, %v the uidvalidity, with a width and an X for "
	  "hexadecimal if wanted. Set it before clients come over from a server that called them otherwise, and never again: they would fetch "
	  "all that they left here once more.", NULL, 0, 0, "0.2" },
	{ "pop3_expire", SETTING_TIME, AT(expire_ms), "0",
	  "How long a message stays after POP3 has fetched it with RETR; it is removed when its reader next logs in to POP3. 0: it stays.",
	  NULL, 0, 0, "0.1" },
	{ "pop3_login_delay", SETTING_TIME, AT(login_delay_ms), "0",
	  "Time between two POP3 logins of an account; who comes earlier is refused with [LOGIN-DELAY]. 0: none.",
	  NULL, 0, 86400000LL, "0.1" },
};
/* clang-format on */
#undef AT
const struct setting_table pop3_setting_table = {
	"POP3 after login",
	pop3_rows,
	COUNT(pop3_rows),
};

static void
service_turn(void *session)
{
	pop3_go(session);
}

static void
service_error(void *session, const char *words)
{
	struct pop3 *s = session;

	if (s->sending == NULL)
		pop3_say(s, "-ERR [SYS/TEMP] %s", words);
	pop3_end(s, arena_copy(s->life, bytes_of(words)));
	/* Else it leaves when what it said before is on disk. */
	if (!hold_is_on(&s->hold) || s->service->guests.closing)
		pop3_finish(s);
}

struct pop3_service *
pop3_service_open(struct loop *loop, struct store *store, const struct pop3_config *config,
                  const struct pop3_needs *needs, void *ctx)
{
	struct pop3_service *v = memory_take(sizeof *v);

	v->loop = loop;
	v->store = store;
	v->config = *config;
	v->needs = *needs;
	v->ctx = ctx;
	guests_open(&v->guests, loop, service_turn, service_error);
	v->logins = map_open();
	return v;
}

void
pop3_service_config(struct pop3_service *v, const struct pop3_config *config)
{
	v->config = *config;
	if (config->rows.login_delay_ms == 0) {
		map_close(&v->logins);
		v->logins = map_open();
	}
}

void
pop3_service_close(struct pop3_service **vp)
{
	struct pop3_service *v = *vp;

	*vp = NULL;
	if (v == NULL)
		return;
	guests_close(&v->guests, "Server shutting down.");
	map_close(&v->logins);
	memory_free(v);
}

size_t
pop3_service_kick(struct pop3_service *v, uint64_t account, const char *words)
{
	return guests_kick(&v->guests, account, words);
}

bool
pop3_service_end(struct pop3_service *v, uint32_t ticket, const char *words)
{
	return guests_end(&v->guests, ticket, words);
}

void
pop3_service_each(struct pop3_service *v,
                  void (*each)(void *ctx, uint32_t ticket, const struct access_facts *,
                               const char *state),
                  void *ctx)
{
	for (struct guest *g = v->guests.first; g != NULL; g = g->next) {
		const struct pop3 *s = g->session;

		each(ctx, g->ticket, &s->facts, s->sending != NULL ? "sending" : "transaction");
	}
}

/* The last login of each account, in milliseconds + 1, as long as it matters. */
static bool
too_early(struct pop3_service *v, uint64_t account)
{
	int64_t   delay = v->config.rows.login_delay_ms, now = clock_patient_ms();
	uintptr_t last;

	if (delay == 0)
		return false;
	last = (uintptr_t)map_get(v->logins, map_number(&account));
	if (last != 0 && now - (int64_t)(last - 1) < delay)
		return true;
	if (map_count(v->logins) >= LOGINS_MOST) {
		map_close(&v->logins);
		v->logins = map_open();
	}
	(void)map_put(v->logins, map_number(&account), (void *)((uintptr_t)now + 1));
	return false;
}

const char *
pop3_unwelcome(struct pop3 *s)
{
	struct pop3_service *v = s->service;

	for (struct guest *g = v->guests.first; g != NULL && v->config.rows.lock_session;
	     g = g->next)
		if (g != &s->guest && g->account == s->facts.account)
			return "[IN-USE] Another POP3 session has this mailbox.";
	return too_early(v, s->facts.account) ? "[LOGIN-DELAY] Please wait before you log in again."
	                                      : NULL;
}

size_t
pop3_service_count(const struct pop3_service *v)
{
	return v == NULL ? 0 : v->guests.count;
}

void
pop3_queue(struct pop3 *s)
{
	turn_queue(&s->service->guests.turns, &s->guest.turn, s);
}

bool
pop3_turn_over(struct pop3 *s)
{
	return turns_over(&s->service->guests.turns);
}

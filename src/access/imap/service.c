#include "access/imap/service.h"

#include "base/clock.h"

#include <string.h>

#define AT(field) offsetof(struct imap_settings, field)
/* clang-format off */
static const struct setting imap_rows[] = {
	{ "imap_autologout", SETTING_TIME, AT(autologout_ms), "30m",
	  "Silence after which an IMAP session is ended (rfc3501:5.4 asks for 30 minutes at least).", NULL, 1000, 7 * 86400000LL, "0.1" },
	{ "imap_idle_notify_interval", SETTING_TIME, AT(idle_notify_ms), "2m",
	  "How often an IDLE session says \"* OK Still here\", so that routers keep the connection.", NULL, 1000, 86400000, "0.1" },
	{ "imap_progress_interval", SETTING_TIME, AT(progress_ms), "10s",
	  "How often a long SEARCH, SORT or THREAD says how far it is (rfc9585); 0: in each of its turns.", NULL, 0, 3600000, "0.1" },
	{ "imap_max_line_length", SETTING_SIZE, AT(line_most), "64K",
	  "Longest line of an IMAP command, literals not counted.", NULL, 1024, 16 << 20, "0.1" },
	{ "imap_literal_limit", SETTING_SIZE, AT(literal_most), "64K",
	  "Most bytes in the literals of one IMAP command; APPEND is bounded by message_size_limit instead.", NULL, 1024, 16 << 20, "0.1" },
	{ "imap_error_limit", SETTING_NUMBER, AT(errors_most), "20",
	  "Commands answered BAD one after the other before the session is ended; one that is understood begins the count anew, but a hundred times as many in all end it too. 0: no limit.", NULL, 0, 250, "0.1" },
	{ "imap_metadata_size_limit", SETTING_SIZE, AT(metadata_most), "16K",
	  "Largest value of one METADATA entry.", NULL, 1024, 1 << 20, "0.1" },
	{ "imap_append_eightbit", SETTING_BOOL, AT(append_eightbit), "yes",
	  "Whether a client that did not enable UTF8=ACCEPT may append a letter with 8-bit bytes in its header. rfc6855 has it refused; old mail has such headers.", .since = "0.2" },
	{ "imap_urlauth_submit_user", SETTING_TEXT, AT(submit_user), "",
	  "Address of the account as which a submission server reads URLs that were signed for submit+ (rfc4467); empty: none.", .since = "0.2" },
	{ "imap_urlauth_host", SETTING_LIST, AT(url_hosts), "$myhostname $mydomain localhost",
	  "Hosts an IMAP URL may name where it is signed, fetched or a part of CATENATE; those below them are meant as well. Empty: any.", .since = "0.3" },
	{ "imap_admin_contact", SETTING_TEXT, AT(admin), "mailto:postmaster@$mydomain",
	  "URI that METADATA tells as /shared/admin of the server; empty: none.", .since = "0.1" },
	{ "imap_server_comment", SETTING_TEXT, AT(comment), "",
	  "What METADATA tells as /shared/comment of the server; empty: nothing.", .since = "0.1" },
	{ "imap_answer_memory", SETTING_SIZE, AT(answers_most), "4%",
	  "Most memory of a keeper for what FETCH has said of messages (envelopes, structures, header fields) and may say again, for some minutes; those of operating-system users and of owners keep as much together. 4% is a part of the machine's memory. 0: none.", "memory", 0, 64LL << 30, "0.1" },
	{ "imap_unauthenticate", SETTING_BOOL, AT(unauthenticate), "yes",
	  "Whether a client may log in as somebody else on the same connection (UNAUTHENTICATE, rfc8437). no is right behind a proxy that decides who may log in: it does not see the second login.", .since = "0.7" },
	{ "imap_message_limit", SETTING_NUMBER, AT(message_limit), "1000000",
	  "Most messages one IMAP command works on, announced as MESSAGELIMIT (rfc9738): 1000 or more; 0: no limit.", NULL, 0, 4000000000LL, "0.1" },
	{ "imap_save_limit", SETTING_NUMBER, AT(save_limit), "1000000",
	  "Most messages one APPEND or COPY saves: 1000 or more; 0: no limit. Announced as SAVELIMIT (rfc9738) where imap_message_limit is 0; else the smaller one holds for them, and is announced as MESSAGELIMIT.", NULL, 0, 4000000000LL, "0.1" },
};
/* clang-format on */
#undef AT
const struct setting_table imap_setting_table = {
	"IMAP after login",
	imap_rows,
	COUNT(imap_rows),
};

static void
service_turn(void *session)
{
	imap_go(session);
}

/* The code in brackets is for the client alone. */
static void
service_bye(void *session, const char *words)
{
	struct imap *s = session;
	const char  *plain = words[0] == '[' ? strstr(words, "] ") : NULL;

	plain = plain != NULL ? plain + 2 : words;
	imap_bye(s, words, arena_copy(s->life, bytes_of(plain)));
	/* Else it leaves when what it said before is on disk. */
	if (!hold_is_on(&s->hold) || s->service->guests.closing)
		imap_finish(s);
}

struct imap_service *
imap_service_open(struct loop *loop, struct store *store, const struct imap_config *config,
                  const struct imap_needs *needs, void *ctx)
{
	struct imap_service *v = memory_take(sizeof *v);

	v->loop = loop;
	v->store = store;
	v->config = *config;
	v->needs = *needs;
	v->ctx = ctx;
	guests_open(&v->guests, loop, service_turn, service_bye);
	v->answers = answers_open(loop, (size_t)config->rows.answers_most);
	return v;
}

void
imap_service_config(struct imap_service *v, const struct imap_config *config)
{
	v->config = *config;
	answers_most(v->answers, (size_t)config->rows.answers_most);
}

void
imap_service_close(struct imap_service **vp)
{
	struct imap_service *v = *vp;

	*vp = NULL;
	if (v == NULL)
		return;
	guests_close(&v->guests, "Server shutting down.");
	answers_close(&v->answers);
	memory_free(v);
}

size_t
imap_service_kick(struct imap_service *v, uint64_t account, const char *words)
{
	return guests_kick(&v->guests, account, words);
}

bool
imap_service_end(struct imap_service *v, uint32_t ticket, const char *words)
{
	return guests_end(&v->guests, ticket, words);
}

static bool
same_groups(const struct access_facts *a, const struct access_facts *b)
{
	for (size_t i = 0; i < a->groups && i < b->groups; i++)
		if (a->group_account[i] != b->group_account[i])
			return false;
	return a->groups == b->groups;
}

/* What was known before stays in the session's memory until its end: commands may look at it. */
void
imap_service_groups(struct imap_service *v,
                    void (*groups)(void *ctx, struct access_facts *, struct arena *), void *ctx)
{
	struct arena *scratch = arena_open(NULL);

	for (struct guest *g = v->guests.first; g != NULL; g = g->next) {
		struct imap        *s = g->session;
		struct access_facts now = s->facts;

		arena_clear(scratch);
		now.groups = 0;
		groups(ctx, &now, scratch);
		if (!same_groups(&now, &s->facts))
			imap_keep_facts(&s->facts, &now, s->life);
	}
	arena_close(&scratch);
}

void
imap_service_each(struct imap_service *v,
                  void (*each)(void *ctx, uint32_t ticket, const struct access_facts *,
                               const char *state),
                  void *ctx)
{
	for (struct guest *g = v->guests.first; g != NULL; g = g->next) {
		const struct imap *s = g->session;
		struct buffer      state = { 0 };

		buffer_add_string(&state, s->command != NULL ? s->command->name
		                          : s->view != NULL  ? "selected"
		                                             : "authenticated");
		if (s->view != NULL)
			buffer_printf(&state, " in %s", mailbox_name(s->view->mailbox));
		buffer_add_char(&state, '\0');
		each(ctx, g->ticket, &s->facts, state.at);
		buffer_free(&state);
	}
}

size_t
imap_service_count(const struct imap_service *v)
{
	return v == NULL ? 0 : v->guests.count;
}

size_t
imap_service_kept(const struct imap_service *v)
{
	return v == NULL ? 0 : answers_memory(v->answers);
}

int64_t
imap_service_served(const struct imap_service *v)
{
	return v->guests.turns.served_ms;
}

void
imap_queue(struct imap *s)
{
	turn_queue(&s->service->guests.turns, &s->guest.turn, s);
}

bool
imap_turn_over(struct imap *s)
{
	return turns_over(&s->service->guests.turns);
}

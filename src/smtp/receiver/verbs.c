#include "smtp/receiver/session_inner.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/journal.h"
#include "smtp/extension.h"
#include "smtp/grammar.h"
#include "smtp/receiver/words.h"
#include "smtp/reply.h"

typedef void   verb_fn(struct session *, struct bytes argument);
static verb_fn verb_helo, verb_ehlo, verb_starttls, verb_mail, verb_rcpt;
static verb_fn verb_rset, verb_noop, verb_help, verb_quit;

/* What must be true before a verb may run, and what it is. */
/* clang-format off */
enum {
	IN_SMTP     = 1 << 0,
	IN_LMTP     = 1 << 1,
	HELLO       = 1 << 2,        /* EHLO, HELO or LHLO was said             */
	HELLO_ASKED = 1 << 3,        /* the same where it is demanded           */
	NO_MAIL     = 1 << 4,        /* not inside a transaction                */
	MAIL_BEGUN  = 1 << 5,
	RCPT_TAKEN  = 1 << 6,        /* at least one recipient                  */
	CLEAR       = 1 << 7,        /* no TLS yet                              */
	TLS_THERE   = 1 << 8,        /* the listener offers it                  */
	BEFORE_TLS  = 1 << 9,        /* allowed where TLS is demanded           */
	BEFORE_AUTH = 1 << 10,       /* allowed where a login is demanded       */
	ALONE       = 1 << 11,       /* takes no argument                       */
	JUNK        = 1 << 12,       /* does no work: counted                   */
	VRFY_ON     = 1 << 13,       /* not switched off                        */
	LAST        = 1 << 14,       /* nothing may come behind it before it is answered */
	NO_CHUNKS   = 1 << 15,       /* not behind BDAT                         */
	BOTH        = IN_SMTP | IN_LMTP,
	EARLY       = BEFORE_TLS | BEFORE_AUTH,
};

static const struct verb {
	const char *name, *lower;
	verb_fn    *run;
	unsigned    when;
} verbs[] = {
	{ "HELO",     "helo",     verb_helo,     IN_SMTP | EARLY | JUNK | LAST },
	{ "EHLO",     "ehlo",     verb_ehlo,     IN_SMTP | EARLY | JUNK | LAST },
	{ "LHLO",     "lhlo",     verb_ehlo,     IN_LMTP | EARLY | JUNK | LAST },
	{ "STARTTLS", "starttls", verb_starttls, BOTH | EARLY | TLS_THERE | CLEAR | NO_MAIL | ALONE | LAST },
	{ "AUTH",     "auth",     verb_auth,     BOTH | BEFORE_AUTH | HELLO | NO_MAIL | LAST },
	{ "MAIL",     "mail",     verb_mail,     BOTH | HELLO_ASKED | NO_MAIL },
	{ "RCPT",     "rcpt",     verb_rcpt,     BOTH | HELLO_ASKED | MAIL_BEGUN | NO_CHUNKS },
	{ "DATA",     "data",     verb_data,     BOTH | HELLO_ASKED | MAIL_BEGUN | NO_CHUNKS | RCPT_TAKEN | ALONE | LAST },
	{ "BDAT",     "bdat",     verb_bdat,     BOTH | HELLO_ASKED | MAIL_BEGUN | RCPT_TAKEN },
	{ "BURL",     "burl",     verb_burl,     IN_SMTP | HELLO_ASKED | MAIL_BEGUN | RCPT_TAKEN },
	{ "RSET",     "rset",     verb_rset,     BOTH | EARLY | ALONE | JUNK },
	{ "NOOP",     "noop",     verb_noop,     BOTH | EARLY | JUNK | LAST },
	{ "VRFY",     "vrfy",     verb_vrfy,     BOTH | JUNK | VRFY_ON | LAST },
	{ "EXPN",     "expn",     verb_expn,     BOTH | JUNK | LAST },
	{ "ETRN",     "etrn",     verb_etrn,     IN_SMTP | HELLO_ASKED | NO_MAIL | JUNK | LAST },
	{ "HELP",     "help",     verb_help,     BOTH | EARLY | JUNK },
	{ "XCLIENT",  "xclient",  verb_xclient,  BOTH | EARLY | NO_MAIL | LAST },
	{ "XFORWARD", "xforward", verb_xforward, BOTH | EARLY | NO_MAIL | LAST },
	{ "QUIT",     "quit",     verb_quit,     BOTH | EARLY },
	{ "unknown",  "unknown",  NULL,          0 },
};
/* clang-format on */
_Static_assert(COUNT(verbs) <= VERBS_MOST, "struct session counts this many verbs");

const char *
verb_name(size_t index)
{
	return index < COUNT(verbs) ? verbs[index].lower : NULL;
}

size_t
verb_unknown(void)
{
	return COUNT(verbs) - 1;
}

/*
 * The gate
 */

static bool
demands_tls(const struct session *s)
{
	return s->config->set.tls_level == TLS_ENCRYPT && !s->secure;
}
static bool
demands_auth(const struct session *s)
{
	return s->config->set.auth_required && s->user.len == 0;
}
static bool
no_tls(const struct session *s)
{
	return s->config->tls == NULL || s->config->set.tls_level == TLS_NONE;
}
static bool
is_secure(const struct session *s)
{
	return s->secure;
}
static bool
no_hello(const struct session *s)
{
	return s->hello == HELLO_NONE;
}
static bool
hello_missing(const struct session *s)
{
	return s->hello == HELLO_NONE && (s->lmtp || s->config->set.helo_required);
}
static bool
in_mail(const struct session *s)
{
	return s->letter != NULL;
}
static bool
no_mail(const struct session *s)
{
	return s->letter == NULL;
}
static bool
in_chunks(const struct session *s)
{
	return s->letter->chunked;
}
static bool
no_rcpt(const struct session *s)
{
	return s->letter->rcpts == 0 && (s->lmtp || s->refused == 0); /* rfc2033:4.2 */
}
static bool
all_refused(const struct session *s)
{
	return s->letter->rcpts == 0;
}
static bool
vrfy_off(const struct session *s)
{
	return s->config->set.vrfy_disabled;
}

/* In the order they are asked: the first that bars the way gives the reply. */
/* clang-format off */
static const struct condition {
	unsigned    bit;
	bool        set;             /* asked when the verb has the bit, or has not */
	bool      (*bars)(const struct session *);
	const char *reply;
} conditions[] = {
	{ CLEAR,       true,  is_secure,     "554 5.5.1 Error: TLS already active" },
	{ TLS_THERE,   true,  no_tls,        "502 5.5.1 Error: command not implemented" },
	{ BEFORE_TLS,  false, demands_tls,   "530 5.7.0 Must issue a STARTTLS command first" },
	{ VRFY_ON,     true,  vrfy_off,      "502 5.5.1 VRFY command is disabled" },
	{ HELLO,       true,  no_hello,      "503 5.5.1 Error: send HELO/EHLO first" },
	{ HELLO_ASKED, true,  hello_missing, "503 5.5.1 Error: send HELO/EHLO first" },
	{ BEFORE_AUTH, false, demands_auth,  "530 5.7.0 Authentication required" },
	{ MAIL_BEGUN,  true,  no_mail,       "503 5.5.1 Error: need MAIL command" },
	{ NO_CHUNKS,   true,  in_chunks,     NULL }, /* by the verb */
	{ RCPT_TAKEN,  true,  no_rcpt,       "503 5.5.1 Error: need RCPT command" },
	{ RCPT_TAKEN,  true,  all_refused,   "554 5.5.1 Error: no valid recipients" },
};
/* clang-format on */

static const char *
barred(const struct session *s, const struct verb *v, struct bytes argument)
{
	for (size_t i = 0; i < COUNT(conditions); i++) {
		const struct condition *c = &conditions[i];

		if (((v->when & c->bit) != 0) != c->set || !c->bars(s))
			continue;
		if (c->reply != NULL)
			return c->reply;
		return v->run == verb_data ? "503 5.5.1 Error: DATA after BDAT" /* rfc3030:2 */
		                           : "503 5.5.1 Error: RCPT after BDAT";
	}
	if (v->when & NO_MAIL && in_mail(s))
		return v->run == verb_mail ? "503 5.5.1 Error: nested MAIL command"
		                           : "503 5.5.1 Error: MAIL transaction in progress";
	if (v->when & ALONE && argument.len > 0)
		return v->run == verb_data ? "501 5.5.4 Syntax: DATA"
		                           : "501 5.5.4 Error: no parameters allowed";
	return NULL;
}

/* Who says what no SMTP client says is a browser, a proxy, a scanner; "From:" is said by who takes a letter for the session. */
static bool
forbidden(const struct session *s, struct bytes word)
{
	return word_begins_field(word) ||
	       word_listed(s->config->tables, &s->config->set.forbidden_commands, word);
}

static const struct verb *
find_verb(const struct session *s, struct bytes word)
{
	const struct setting_list *noops = &s->config->set.noops;

	if (noops->count > 0 && word_listed(s->config->tables, noops, word))
		word = BYTES("NOOP");
	for (size_t i = 0; i < verb_unknown(); i++)
		if (verbs[i].when & (s->lmtp ? IN_LMTP : IN_SMTP) && bytes_is(word, verbs[i].name))
			return &verbs[i];
	return &verbs[verb_unknown()];
}

static void
unknown_judged(struct session *s, const struct session_verdict *v)
{
	if (v->refused)
		say_refused(s, "UNKNOWN", BYTES(""), v);
	else
		say(s, "500 5.5.2 Error: command not recognized"); /* rfc5321:4.2.4 */
	answered(s);
}

static void
judge_unknown(struct session *s, struct bytes word, struct bytes line)
{
	if (word.len > 0 && forbidden(s, word)) {
		warn_as(s->config->service, "non-%s command from %s: %.*s",
		        s->lmtp ? "LMTP" : "SMTP", client_of(s),
		        line.len < 100 ? (int)line.len : 100, line.at);
		say(s, "221 2.7.0 Error: I can break rules, too. Goodbye.");
		hang_up(s);
		return;
	}
	if (word.len == 0) {
		say(s, "500 5.5.2 Error: bad syntax");
		answered(s);
	} else if (!filters_unknown(s, line, unknown_judged))
		unknown_judged(s, &(struct session_verdict){ .refused = false });
}

/* The line that waited while a table was asked; the session has it no more. */
static struct bytes
line_back(struct session *s, struct arena *a)
{
	struct bytes line = arena_keep(a, buffer_bytes(&s->line));

	buffer_free(&s->line);
	return line;
}

/* Tables of this list are elsewhere and are asked for the word: then the line waits, and `looked` follows. */
static bool
looks_for(struct session *s, const struct setting_list *list, struct bytes word, struct bytes line,
          void (*looked)(struct session *))
{
	char         key[WORD_KEY_ROOM];
	struct bytes one;

	if (list->count == 0 || word.len == 0 || !word_key(word, key))
		return false;
	one = bytes_of(key);
	if (!s->needs->look(s->house, s, list, &one, 1))
		return false;
	buffer_add(&s->line, line);
	s->looked = looked;
	hold(s);
	return true;
}

static void
unknown_looked(struct session *s)
{
	struct arena *a = arena_open(NULL);
	struct bytes  line = line_back(s, a), argument = line;

	judge_unknown(s, command_verb(&argument), line);
	arena_close(&a);
}

static void
not_a_verb(struct session *s, struct bytes word, struct bytes line)
{
	if (word_begins_field(word) ||
	    !looks_for(s, &s->config->set.forbidden_commands, word, line, unknown_looked))
		judge_unknown(s, word, line);
}

/* rfc2920:3.1: who has not said EHLO knows of no pipelining; of who has, some commands must be the last of a group. */
bool
session_out_of_turn(const struct session *s)
{
	return s->behind && (s->hello != HELLO_EHLO || verbs[s->verb].when & LAST);
}

/* A client that does not wait for what it must hear, wherever it comes from. */
static bool
sent_away(struct session *s, const struct verb *v)
{
	if (v->run == verb_helo || v->run == verb_ehlo)
		if (screen_hello(s))
			return true;
	if (!s->config->set.forbid_pipelining || !session_out_of_turn(s))
		return false;
	note_as(s->config->service, "improper command pipelining after %s from %s", s->where,
	        client_of(s));
	say(s, "554 5.5.0 Error: SMTP protocol synchronization");
	hang_up(s);
	return true;
}

static void
obey(struct session *s, struct bytes line)
{
	struct bytes       argument = line, word = command_verb(&argument);
	const struct verb *v = find_verb(s, word);
	const char        *no;

	s->verb = (uint8_t)(v - verbs);
	s->taken = 0;
	s->tried[s->verb]++;
	s->where = v->run != NULL ? v->name : "UNKNOWN";
	if (v->when & JUNK && receiver_patience(s->config)->junk_commands > 0 &&
	    s->junk++ > receiver_patience(s->config)->junk_commands)
		s->errors++;
	s->pipelined = s->pipelined || session_out_of_turn(s);
	if (sent_away(s, v))
		return;
	if (s->denied && v->run != verb_quit) {
		say(s, "503 5.7.0 Error: access denied for %s", client_of(s));
		answered(s);
	} else if (v->run == NULL) {
		not_a_verb(s, word, line);
	} else if ((no = barred(s, v, argument)) != NULL && v->run == verb_bdat) {
		bdat_refused(s, argument, no);
	} else if (no != NULL) {
		say(s, "%s", no);
		answered(s);
	} else
		v->run(s, argument);
}

static void
word_looked(struct session *s)
{
	struct arena *a = arena_open(NULL);

	obey(s, line_back(s, a));
	arena_close(&a);
}

static void
obey_when_known(struct session *s, struct bytes line)
{
	struct bytes argument = line;

	if (!looks_for(s, &s->config->set.noops, command_verb(&argument), line, word_looked))
		obey(s, line);
}

/* smtpd_command_filter: the first table that has the line has another in its place. */
static void
line_looked(struct session *s)
{
	const struct setting_list *of = &s->config->set.command_tables;
	struct network_tables     *tables = s->config->tables;
	struct arena              *a = arena_open(NULL);
	struct bytes               line = line_back(s, a), value;
	const char                *key = arena_copy(a, line);

	for (size_t i = 0; i < of->count && line.len > 0; i++)
		if (tables->value(tables, of->item[i], key, a, &value)) {
			line = value;
			break;
		}
	obey_when_known(s, line);
	arena_close(&a);
}

void
verb_run(struct session *s, struct bytes line)
{
	const struct setting_list *of = &s->config->set.command_tables;

	if (of->count == 0 || s->config->tables == NULL) {
		obey_when_known(s, line);
		return;
	}
	while (line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t'))
		line = bytes_cut(line, 1, SIZE_MAX);
	buffer_add(&s->line, line);
	if (s->needs->look(s->house, s, of, &line, 1)) {
		s->looked = line_looked;
		hold(s);
	} else
		line_looked(s);
}

/*
 * Hello
 */

static bool
take_hello(struct session *s, struct bytes argument, enum hello hello, const char *syntax)
{
	struct arena *scratch = arena_open(NULL);
	struct bytes  name = helo_name(argument, scratch);

	if (name.len == 0) {
		say(s, "501 5.5.4 Syntax: %s hostname", syntax);
		answered(s);
	} else {
		mail_end(s); /* rfc5321:4.1.4: as if RSET */
		if (s->life == NULL)
			s->life = arena_open(NULL);
		if (!bytes_equal(name, s->helo))
			s->helo = arena_keep(s->life, name);
		s->hello = (uint8_t)hello;
	}
	arena_close(&scratch);
	return name.len > 0;
}

/* Nothing was said, as far as the session is concerned. */
static bool
hello_refused(struct session *s, const struct session_verdict *v)
{
	if (!v->refused)
		return false;
	say_refused(s, verbs[s->verb].name, BYTES(""), v);
	s->hello = HELLO_NONE;
	s->helo = (struct bytes){ NULL, 0 };
	answered(s);
	return true;
}

static void
helo_judged(struct session *s, const struct session_verdict *v)
{
	if (hello_refused(s, v))
		return;
	say(s, "250 %s", s->config->myhostname);
	answered(s);
}

static void
helo_looked(struct session *s)
{
	judge(s, MOMENT_HELO, helo_judged);
}

/* Whether its certificate is one of ours may be for a table to say that somebody else has to ask. */
static void
look_at_certificate(struct session *s, void (*then)(struct session *))
{
	const struct setting_list *of = &s->config->set.known_certificates;
	struct tls_facts           t;

	if (of->count > 0 && session_tls(s, &t)) {
		const struct bytes key[] = { bytes_of(t.fingerprint), bytes_of(t.key_fingerprint) };

		s->looked = then;
		if (s->needs->look(s->house, s, of, key, COUNT(key))) {
			hold(s);
			return;
		}
		s->looked = NULL;
	}
	then(s);
}

static void
verb_helo(struct session *s, struct bytes name)
{
	if (take_hello(s, name, HELLO_HELO, "HELO"))
		look_at_certificate(s, helo_looked);
}

/* rfc5321:4.1.1.1, rfc2033:4.1 */
static void
ehlo_judged(struct session *s, const struct session_verdict *v)
{
	if (hello_refused(s, v))
		return;
	if (s->filters_deny)
		say(s, "250-%s\r\n250 ENHANCEDSTATUSCODES", s->config->myhostname);
	else {
		struct buffer *out = s->mouth->out(s->mouth_of);
		size_t         from = out->len;

		tell_extensions(s, out);
		overhear(s, out, from);
	}
	history_flush(s);
	answered(s);
}

static void
ehlo_looked(struct session *s)
{
	judge(s, MOMENT_HELO, ehlo_judged);
}

static void
verb_ehlo(struct session *s, struct bytes name)
{
	if (take_hello(s, name, HELLO_EHLO, s->lmtp ? "LHLO" : "EHLO"))
		look_at_certificate(s, ehlo_looked);
}

/* rfc3207:4 */
static void
verb_starttls(struct session *s, struct bytes none)
{
	(void)none;
	if (!within(s, COUNT_TLS_KNOWN, s->config->set.tls_rate, "New TLS session rate")) {
		say(s, "454 4.7.0 Error: too many new TLS sessions from %s", client_of(s));
		answered(s);
		return;
	}
	say_fixed(s, BYTES("220 2.0.0 Ready to start TLS\r\n"));
	answered(s);
	if (s->over)
		return;
	s->securing = true;
	s->room = room_nothing;
	hold(s);
	s->mouth->secure(s->mouth_of);
}

/*
 * MAIL and RCPT
 */

bool
may_relay(const struct session *s)
{
	return !s->lmtp && (s->user.len > 0 || s->trusted);
}

/* "jill" is jill@myorigin, and jill@host lies in mydomain where append_dot_mydomain says so (R79); `*added`: so many bytes. */
struct bytes
whole_address(struct session *s, struct arena *a, const struct address *path, bool bare,
              size_t *added)
{
	const char    *within = s->config->within;
	struct address whole = *path;

	*added = 0;
	if (bare) {
		whole.domain = bytes_of(s->config->myorigin);
		*added = whole.domain.len + 1;
	} else if (within != NULL && whole.domain.len > 0 && whole.domain.at[0] != '[' &&
	           bytes_find(whole.domain, '.') < 0) {
		*added = strlen(within) + 1;
		whole.domain = bytes_of(
			arena_printf(a, "%.*s.%s", (int)whole.domain.len, whole.domain.at, within));
	}
	return address_text(a, &whole);
}

/* The same for one who has logged in, wherever they come from. */
static bool
user_within(struct session *s, enum counted kind, int64_t limit, const char *what)
{
	uint32_t now = 0;

	if (limit <= 0 || s->user.len == 0 || s->needs->count(s->house, s, kind, limit, &now))
		return true;
	warn_as(s->config->service, "%s limit exceeded: %u from account %.*s", what, now,
	        (int)s->user.len, s->user.at);
	return false;
}

/* rfc9422:4.1 MAILMAX; 0: as many as they like */
int64_t
mails_most(const struct session *s)
{
	bool bears = s->lmtp || s->trusted || s->excepted || s->user.len > 0;

	return bears ? 0 : s->config->set.session_messages;
}

static bool
mails_enough(const struct session *s)
{
	return mails_most(s) > 0 && s->mails >= mails_most(s);
}

struct grammar
grammar_of(const struct session *s)
{
	return (struct grammar){ .strict = s->config->set.strict_envelopes,
		                 .ascii = s->config->set.strict_utf8,
		                 .utf8 = s->letter != NULL && s->letter->flags & ENVELOPE_SMTPUTF8,
		                 .hyphen = s->config->set.hyphen_allowed,
		                 .extensions = extensions_of(s) };
}

static bool
mail_check(struct session *s, const struct mail_command *m)
{
	const struct receiver_settings *set = &s->config->set;
	const char                     *no = NULL;

	if (m->with.has_size && set->message_size > 0 && m->with.size > (uint64_t)set->message_size)
		no = "552 5.3.4 Message size exceeds fixed limit"; /* rfc1870:6.1 */
	else if (s->needs->room(s->house, s, m->with.size) == ROOM_FULL)
		no = "452 4.3.1 Insufficient system storage";
	if (no != NULL)
		no = explained(s, "MAIL", BYTES(""), no);
	else if (!within(s, COUNT_MESSAGE, set->message_rate, "Message delivery request rate")) {
		say(s, "450 4.7.1 Error: too much mail from %s", s->peer.text);
		return false;
	} else if (!user_within(s, COUNT_ACCOUNT_MESSAGE, set->account_messages,
	                        "Message delivery request rate")) {
		say(s, "450 4.7.1 Error: too much mail from this account");
		return false;
	} else if (mails_enough(s)) {
		warn_as(s->config->service, "too many messages in one connection from %s",
		        client_of(s));
		say(s, "421 4.7.0 %s Error: too many messages in one connection",
		    s->config->myhostname);
		hang_up(s);
		return false;
	}
	if (no != NULL)
		say(s, "%s", no);
	return no == NULL;
}

static void
mail_judged(struct session *s, const struct session_verdict *v)
{
	if (v->refused) {
		say_refused(s, "MAIL", BYTES(""), v);
		mail_end(s);
	} else
		say_fixed(s, BYTES("250 2.1.0 Ok\r\n"));
	answered(s);
}

static void
verb_mail(struct session *s, struct bytes argument)
{
	struct arena       *scratch = arena_open(NULL);
	struct grammar      g = grammar_of(s);
	struct mail_command m;
	const char         *no;
	size_t              added;

	if (!mail_parse(argument, &g, scratch, &m, &no))
		say(s, "%s", no);
	else if (mail_check(s, &m)) {
		s->letter = letter_open(s, whole_address(s, scratch, &m.sender, m.bare, &added));
		s->mails++;
		s->history.quiet |= s->letter->sender.len == 0 && session_is_here(s);
		s->letter->needs = s->needs;
		s->letter->house = s->house;
		s->letter->added = added;
		s->said = arena_keep(s->letter->life, argument);
		s->letter->number = ++s->letters;
		no = wishes_take(s, &m.with, s->letter);
		arena_close(&scratch);
		if (no == NULL) {
			judge(s, MOMENT_MAIL, mail_judged);
			return;
		}
		no = explained(s, "MAIL", BYTES(""), no);
		mail_end(s);
		say(s, "%s", no);
	}
	arena_close(&scratch);
	answered(s);
}

void
asked_end(struct session *s)
{
	s->asked.len = s->asked_why.len = s->asked_filter.len = 0;
	s->asked_known = false;
	answered(s);
}

static void
rcpt_judged(struct session *s, const struct session_verdict *v)
{
	if (v->refused) {
		say_refused(s, "RCPT", s->asked, v);
		s->refused++;
	} else {
		struct letter_rcpt *to = letter_add(s->letter, s->asked);

		to->orcpt = s->asked_with.orcpt;
		to->notify = s->asked_with.notify;
		/* What a list said is of the letter at hand, and goes before what a table says of a mailbox. */
		if (s->letter->handling.filter.len == 0)
			s->letter->handling.filter = s->asked_filter;
		to->known = s->asked_known;
		to->is = s->asked_is;
		say_fixed(s, BYTES("250 2.1.5 Ok\r\n"));
	}
	asked_end(s);
}

/* What the directory said is one of the things that the lists look at. */
void
know_asked(struct session *s, enum resolved r, const char *why)
{
	s->asked_known = true;
	s->asked_is = (uint8_t)r;
	s->asked_why = arena_keep(s->letter != NULL ? s->letter->life : s->life, bytes_of(why));
}

static void
rcpt_resolved(struct session *s, enum resolved r, const char *table)
{
	know_asked(s, r, table);
	judge(s, MOMENT_RCPT, rcpt_judged);
}

int64_t
recipients_most(const struct session *s)
{
	const struct receiver_settings *set = &s->config->set;
	bool                            known = may_relay(s) || s->lmtp || set->auth_required;
	int64_t                         most = known ? set->recipients : set->recipients_stranger;

	/* What holds for all holds for strangers. */
	if (!known && set->recipients > 0 && (most <= 0 || set->recipients < most))
		most = set->recipients;
	return most <= 0 || most > ENVELOPE_RECIPIENTS_MOST ? ENVELOPE_RECIPIENTS_MOST : most;
}

/* rfc9422:4.3: one domain more, or one there was. */
static bool
meet_domain(struct session *s, struct bytes address)
{
	ptrdiff_t    at = bytes_find_last(address, '@');
	struct bytes name = bytes_cut(address, (size_t)(at + 1), address.len);

	if (s->config->set.session_domains <= 0)
		return true;
	for (struct domain_met *d = s->met; d != NULL; d = d->next)
		if (bytes_equal(d->name, name))
			return true;
	if (s->domains >= s->config->set.session_domains)
		return false;
	if (s->life == NULL)
		s->life = arena_open(NULL);
	struct domain_met *d = arena_take(s->life, sizeof *d);
	*d = (struct domain_met){ s->met, arena_keep(s->life, name) };
	s->met = d;
	s->domains++;
	return true;
}

static bool
rcpt_check(struct session *s)
{
	const struct receiver_settings *set = &s->config->set;
	int64_t                         most = recipients_most(s);

	/* Of those taken, as Postfix counts: the letter may have as many as are good. */
	if (s->letter->rcpts >= most) {
		if (s->overshot == 0)
			warn_as(s->config->service, "too many recipients from %s: more than %lld",
			        client_of(s), (long long)most);
		s->refused++;
		say(s, "452 4.5.3 Error: too many recipients");
		if (s->overshot++ < set->overshoot)
			s->errors--; /* rfc5321:4.5.3.1.10: it is no mistake to try */
		return false;
	}
	if (!within(s, COUNT_RECIPIENT, set->recipient_rate, "Recipient address rate")) {
		say(s, "450 4.7.1 Error: too many recipients from %s", s->peer.text);
		return false;
	}
	if (!user_within(s, COUNT_ACCOUNT_RECIPIENT, set->account_recipients,
	                 "Recipient address rate")) {
		say(s, "450 4.7.1 Error: too many recipients from this account");
		return false;
	}
	if (s->unwelcome != NULL) {
		char no[64];

		s->refused++;
		(void)snprintf(no, sizeof no, "550 %s", s->unwelcome);
		say(s, "%s", explained(s, "RCPT", s->asked, no));
		return false;
	}
	return true;
}

/* The question lives as long as the transaction, or VRFY's in the session. */
void
ask_about(struct session *s, struct bytes address, ask_fn *then)
{
	s->asked = address;
	s->then = then;
	hold(s);
	s->needs->resolve(s->house, s, address);
}

/*
 * Whose address is it that they send as?  Asked at the first RCPT, so that the log has both.
 */

void
session_owner(struct session *s, enum owner o)
{
	if (s->over || s->letter == NULL || s->asked.len == 0 || s->then != NULL)
		return;
	s->letter->owner = (uint8_t)o;
	s->letter->sender_known = true;
	ask_about(s, s->asked, rcpt_resolved);
}

static void
verb_rcpt(struct session *s, struct bytes argument)
{
	struct grammar      g = grammar_of(s);
	struct rcpt_command c;
	const char         *no;

	if (!rcpt_check(s)) {
		answered(s);
		return;
	}
	if (!rcpt_parse(argument, &g, s->letter->life, &c, &no)) {
		s->refused++;
		say(s, "%s", no);
		answered(s);
		return;
	}
	s->asked = whole_address(s, s->letter->life, &c.recipient, c.bare, &s->asked_added);
	s->said = arena_keep(s->letter->life, argument);
	s->asked_with = c.with;
	s->asked_with.orcpt = arena_keep(s->letter->life, c.with.orcpt);
	if (!meet_domain(s, s->asked)) {
		s->refused++;
		s->asked.len = 0;
		say(s, "452 4.5.3 Error: too many domains in one session");
		answered(s);
		return;
	}
	if ((s->letter->sender_known && s->letter->owner != OWNER_LATER) ||
	    !s->needs->wants_owner(s->house, s))
		ask_about(s, s->asked, rcpt_resolved);
	else {
		s->then = NULL;
		hold(s);
		s->needs->owner(s->house, s, s->user, s->letter->sender);
	}
}

void
session_filter(struct session *s, const char *way)
{
	if (s->letter != NULL && !s->over)
		s->asked_filter = arena_keep(s->letter->life, bytes_of(way));
}

void
session_resolved(struct session *s, enum resolved r, const char *table)
{
	ask_fn *then = s->then;

	s->then = NULL;
	if (then != NULL && !s->over)
		then(s, r, table);
}

/*
 * The rest
 */

static void
verb_rset(struct session *s, struct bytes none)
{
	(void)none;
	mail_end(s);
	say_fixed(s, BYTES("250 2.0.0 Ok\r\n"));
	history_flush(s);
	answered(s);
}

static void
verb_noop(struct session *s, struct bytes any)
{
	(void)any;
	say_fixed(s, BYTES("250 2.0.0 Ok\r\n"));
	answered(s);
}

/* What this client may say, now or later. */
static bool
is_for(const struct session *s, const struct verb *v)
{
	if (v->run == verb_xclient)
		return s->may_xclient;
	if (v->run == verb_xforward)
		return s->may_xforward;
	if (v->run == verb_expn)
		return s->may_expn;
	if (v->run == verb_etrn)
		return s->config->set.flush_domains.count > 0;
	if (v->run == verb_bdat)
		return (extensions_of(s) & EXTENSION_CHUNKING) != 0;
	if (v->run == verb_burl)
		return (extensions_of(s) & EXTENSION_BURL) != 0;
	if (v->run == verb_starttls)
		return !no_tls(s);
	if (v->run == verb_auth)
		return s->config->set.auth_enable;
	return !(v->when & VRFY_ON) || !vrfy_off(s);
}

static void
verb_help(struct session *s, struct bytes any)
{
	struct buffer *out = s->mouth->out(s->mouth_of);

	(void)any;
	buffer_add(out, BYTES("214 2.0.0 Commands:"));
	for (size_t i = 0; i < verb_unknown(); i++)
		if (verbs[i].when & (s->lmtp ? IN_LMTP : IN_SMTP) && is_for(s, &verbs[i]))
			buffer_printf(out, " %s", verbs[i].name);
	buffer_add(out, BYTES("\r\n"));
	answered(s);
}

static void
verb_quit(struct session *s, struct bytes any)
{
	(void)any;
	mail_end(s);
	say_fixed(s, BYTES("221 2.0.0 Bye\r\n"));
	s->done[s->verb]++;
	hang_up(s);
}

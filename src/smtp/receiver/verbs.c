/*
 * verbs -- what a client may say, in one table: what must be true before a verb may run, and who does it.  The long ones
 * have a file each (verb-*.c)
 */
#include "smtp/receiver/session_inner.h"

#include <string.h>

#include "base/journal.h"
#include "smtp/extension.h"
#include "smtp/grammar.h"
#include "smtp/receiver/words.h"
#include "smtp/reply.h"

typedef void   verb_fn(struct session *, struct bytes argument);
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

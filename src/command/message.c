/* message -- messages searched, shown, flagged, copied, moved, removed */

#include "command/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int run_message(struct call *);

const struct command command_message = {
	.name = "message",
	.forms =
		"message search ACCOUNT QUERY ... [--json | -f FORM]\n"
		"message fetch ACCOUNT FIELDS QUERY ... [--json | -f FORM]\n"
		"message flags ACCOUNT add|remove|replace FLAGS QUERY ...\n"
		"message copy ACCOUNT MAILBOX QUERY ... [--to ACCOUNT]\n"
		"message move ACCOUNT MAILBOX QUERY ... [--to ACCOUNT]\n"
		"message expunge ACCOUNT QUERY ... [--delete-empty-mailbox]\n"
		"message append ACCOUNT [MAILBOX] [--file FILE] [--flags FLAGS]\n"
		"message import ACCOUNT PATH ... [--mailbox MAILBOX [--inbox]] [--flags FLAGS] [--query QUERY] [--duplicates] [--quiet]\n"
		"message export ACCOUNT PATH [QUERY ...] [--format maildir|mbox|eml] [--quiet]",
	.about =
		"Searches, shows, flags, copies, moves and removes messages; takes them in and gives them out.",
	.more = "ACCOUNT is an address, or several: *@example.com, example.com, or * for everybody. A QUERY is what IMAP's "
		"SEARCH takes, in all mailboxes of the account that it does not restrict (those that others show to it "
		"must be named): mailbox INBOX from jill since 2026-11-01. Beyond "
		"that, mailbox takes * and %; a date may be 22-Nov-2026, 2026-11-22 or an age (3d, 2weeks); a size may end in "
		"k, M or G; and keys may be joined by or within parentheses, which the shell wants quoted. all means "
		"every message.\n"
		"\n"
		"FIELDS are one argument: uid, seq, flags, user, mailbox, mailbox-guid, guid, pop3.uidl, date.received, "
		"date.saved, date.sent, size, modseq, hdr, hdr.NAME, body, body.PART, text, preview, imap.envelope, "
		"imap.body, imap.bodystructure. FLAGS too: \"\\Seen $Forwarded\".\n"
		"\n"
		"import reads an mbox, a Maildir with its folders, a letter, or a directory of .eml or of mboxes (those of Thunderbird, too) with those below it; - is the standard input. What "
		"is there already (the same Message-ID, Date, From, Subject and size) is left out unless --duplicates is said, so "
		"that an import that was broken off can be run again. Folders come under MAILBOX, or beside the INBOX without it; what lies in no folder comes into MAILBOX itself, with --inbox into the folder INBOX below it. "
		"QUERY, one word for the shell, says which letters come: flags, dates, sizes, fields of the header, MAILBOX; not BODY and TEXT.\n"
		"\n"
		"export makes such a thing: a Maildir with its folders, a directory of .eml, or an mbox (in a directory: one for each "
		"mailbox). A message that an earlier export wrote to a Maildir or directory is not written again; an mbox "
		"appears whole or not at all.",
	.run = run_message,
};

int
message_complain(struct client *c, const char *mailbox)
{
	(void)fprintf(stderr, "mansio: %s: %s: %s\n", client_user(c), mailbox, client_said(c));
	return strstr(client_said(c), "[TRYCREATE]") != NULL ||
	                       strstr(client_said(c), "[NONEXISTENT]") != NULL
	               ? COMMAND_NOT_FOUND
	               : COMMAND_FAILED;
}

/* What one verb works on. */
struct messages {
	struct message_work *work;
	struct output       *out;
	struct client       *to;   /* the other account, or NULL                 */
	const char          *word; /* flags, a destination                     */
};

/* ---- search ---- */

static int
search_chosen(void *ctx, const struct chosen *chosen)
{
	struct messages *m = ctx;
	struct uid_walk  walk = { .rest = chosen->uids };
	uint32_t         uid;

	while (uid_walk_next(&walk, &uid)) {
		if (m->work->many)
			output_value(m->out, bytes_of(client_user(chosen->client)));
		output_value(m->out, bytes_of(m->work->doveadm ? chosen->id : chosen->mailbox));
		output_text(m->out, "%" PRIu32, uid);
	}
	return COMMAND_DONE;
}

static int
do_search(struct messages *m, struct selection *s)
{
	static const char *const          own[] = { "user", "mailbox", "uid" };
	static const struct output_column theirs[] = { { "Username", "username", true, false },
		                                       { "mailbox-guid", NULL, true, false },
		                                       { "uid", NULL, true, false } };
	size_t                            from = m->work->many ? 0 : 1;
	int                               status;

	s->each = search_chosen;
	m->out = m->work->doveadm ? output_open_as_doveadm(m->work->form, theirs + from, 3 - from)
	                          : output_open(m->work->form, own + from, 3 - from);
	status = selection_run(m->work->call, m->work->who, s);
	output_close(&m->out);
	return status;
}

/* ---- flags ---- */

static int
flags_chosen(void *ctx, const struct chosen *chosen)
{
	struct messages *m = ctx;
	struct client   *c = chosen->client;
	struct bytes     rest = chosen->uids, uids;

	while (uids_next(&rest, &uids))
		if (client_say(c, NULL, NULL, "UID STORE %.*s %s.SILENT (%s)", (int)uids.len,
		               uids.at, m->work->how, m->word) != CLIENT_OK)
			return message_complain(c, chosen->mailbox);
	return COMMAND_DONE;
}

/* flag-list without its parentheses; nothing that would break the line. */
bool
flags_right(const char *flags)
{
	for (const char *p = flags; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || strchr("(){%*\"[]", *p) != NULL)
			return false;
	return true;
}

static int
do_flags(struct messages *m, struct selection *s)
{
	m->word = m->work->argv[0];
	if (!flags_right(m->word)) {
		(void)fprintf(stderr,
		              "mansio: \"%s\" are not flags; right would be "
		              "\"\\Seen \\Flagged $Forwarded\"\n",
		              m->word);
		return COMMAND_FAILED;
	}
	s->each = flags_chosen;
	s->write = true;
	return selection_run(m->work->call, m->work->who, s);
}

/* ---- expunge ---- */

static void
count_left(void *ctx, struct client *c, const struct client_answer *a)
{
	uint32_t *left = ctx;

	(void)c;
	if (bytes_is(a->word, "EXISTS"))
		*left = a->number;
}

static bool
expunge_uids(struct client *c, struct bytes all)
{
	struct bytes uids;

	while (uids_next(&all, &uids))
		if (client_say(c, NULL, NULL, "UID STORE %.*s +FLAGS.SILENT (\\Deleted)",
		               (int)uids.len, uids.at) != CLIENT_OK ||
		    client_say(c, NULL, NULL, "UID EXPUNGE %.*s", (int)uids.len, uids.at) !=
		            CLIENT_OK)
			return false;
	return true;
}

static int
expunge_chosen(void *ctx, const struct chosen *chosen)
{
	struct messages *m = ctx;
	struct client   *c = chosen->client;
	uint32_t         left = 1;
	bool             good = expunge_uids(c, chosen->uids);

	if (good && m->work->empty && strcmp(chosen->mailbox, "INBOX") != 0) {
		buffer_add_string(client_begin(c), "EXAMINE ");
		client_put_mailbox(c, chosen->mailbox);
		good = client_run(c, count_left, &left) == CLIENT_OK;
	}
	if (good && left == 0) {
		buffer_add_string(client_begin(c), "DELETE ");
		client_put_mailbox(c, chosen->mailbox);
		good = client_run(c, NULL, NULL) == CLIENT_OK;
	}
	return good ? COMMAND_DONE : message_complain(c, chosen->mailbox);
}

static int
do_expunge(struct messages *m, struct selection *s)
{
	if (!query_covers(&s->query, false)) {
		(void)fputs(
			"mansio: the query, or a branch of it, says nothing besides MAILBOX, and nothing is removed; "
			"all means every message there\n",
			stderr);
		return COMMAND_FAILED;
	}
	s->each = expunge_chosen;
	s->write = true;
	return selection_run(m->work->call, m->work->who, s);
}

/* ---- copy and move ---- */

/* One letter from one account's session into an APPEND of the other's. */
struct carrying {
	struct client *to;
	const char    *mailbox;
	struct buffer  flags, date;
	bool           begun;
};

static void
begin_append(struct carrying *w, uint64_t size)
{
	struct client *to = w->to;

	buffer_add_string(client_begin(to), "APPEND ");
	client_put_mailbox(to, w->mailbox);
	buffer_printf(client_out(to), " (%.*s) \"%.*s\" ", (int)w->flags.len, w->flags.at,
	              (int)w->date.len, w->date.at);
	client_put_literal(to, size);
	w->begun = true;
}

static void
hear_letter(void *ctx, struct client *c, const struct client_answer *a)
{
	struct carrying    *w = ctx;
	struct client_value v;
	struct bytes        piece;
	char                name[32];

	if (!bytes_is(a->word, "FETCH"))
		return;
	client_next(c, &v);
	for (client_next(c, &v); v.kind == VALUE_ATOM; client_next(c, &v)) {
		if (!bytes_string(v.text, name, sizeof name))
			name[0] = '\0';
		client_next(c, &v);
		if (strcmp(name, "FLAGS") == 0)
			for (client_next(c, &v); v.kind == VALUE_ATOM; client_next(c, &v)) {
				if (bytes_is(v.text, "\\Recent"))
					continue;
				buffer_add_string(&w->flags, w->flags.len > 0 ? " " : "");
				buffer_add(&w->flags, v.text);
			}
		else if (strcmp(name, "INTERNALDATE") == 0)
			client_gather(c, &v, &w->date, 64);
		else if (strcmp(name, "BODY[]") == 0) {
			begin_append(w, v.size);
			if (v.kind == VALUE_STRING)
				buffer_add(client_out(w->to), v.text);
			while (v.kind == VALUE_LITERAL && client_take(c, &piece)) {
				buffer_add(client_out(w->to), piece);
				(void)client_send(w->to);
			}
		}
	}
}

static enum client_outcome
carry(struct carrying *w, struct client *from, uint32_t uid)
{
	enum client_outcome o;

	buffer_reset(&w->flags);
	buffer_reset(&w->date);
	w->begun = false;
	o = client_say(from, hear_letter, w,
	               "UID FETCH %" PRIu32 " (FLAGS INTERNALDATE BODY.PEEK[])", uid);
	if (!w->begun)
		return o;
	return client_run(w->to, NULL, NULL);
}

static int
carry_chosen(struct messages *m, const struct chosen *chosen, bool move)
{
	struct carrying w = { .to = m->to, .mailbox = m->word };
	struct uid_walk walk = { .rest = chosen->uids };
	uint32_t        uid;
	int             status = COMMAND_DONE;
	char            one[16];

	while (status == COMMAND_DONE && uid_walk_next(&walk, &uid)) {
		if (carry(&w, chosen->client, uid) != CLIENT_OK)
			status = message_complain(m->to, m->word);
		else if (move) {
			(void)snprintf(one, sizeof one, "%" PRIu32, uid);
			if (!expunge_uids(chosen->client, bytes_of(one)))
				status = message_complain(chosen->client, chosen->mailbox);
		}
	}
	buffer_free(&w.flags);
	buffer_free(&w.date);
	return status;
}

static int
transfer(struct messages *m, const struct chosen *chosen, const char *word)
{
	struct client *c = chosen->client;
	struct bytes   rest = chosen->uids, uids;

	if (m->to != NULL)
		return carry_chosen(m, chosen, strcmp(word, "MOVE") == 0);
	if (strcmp(chosen->mailbox, m->word) == 0)
		return COMMAND_DONE; /* they are there */
	while (uids_next(&rest, &uids)) {
		buffer_printf(client_begin(c), "UID %s %.*s ", word, (int)uids.len, uids.at);
		client_put_mailbox(c, m->word);
		if (client_run(c, NULL, NULL) != CLIENT_OK)
			return message_complain(c, m->word);
	}
	return COMMAND_DONE;
}

static int
copy_chosen(void *ctx, const struct chosen *chosen)
{
	return transfer(ctx, chosen, "COPY");
}

static int
move_chosen(void *ctx, const struct chosen *chosen)
{
	return transfer(ctx, chosen, "MOVE");
}

static int
do_transfer(struct messages *m, struct selection *s)
{
	struct people owner = { .life = NULL };
	int           status = COMMAND_DONE;

	m->word = m->work->argv[0];
	s->write = s->each == move_chosen;
	if (m->work->owner != NULL) {
		status = client_people(m->work->call, m->work->owner, &owner);
		if (status == COMMAND_DONE &&
		    (m->to = client_open(m->work->call, &owner.one[0])) == NULL)
			status = COMMAND_FAILED;
	}
	if (status == COMMAND_DONE)
		status = selection_run(m->work->call, m->work->who, s);
	client_close(&m->to);
	people_close(&owner);
	return status;
}

static int
do_copy(struct messages *m, struct selection *s)
{
	s->each = copy_chosen;
	return do_transfer(m, s);
}

static int
do_move(struct messages *m, struct selection *s)
{
	s->each = move_chosen;
	return do_transfer(m, s);
}

/* ---- the table ---- */

/* clang-format off */
static const struct verb {
	const char *name;
	int         words;             /* its own, before the query */
	int       (*run)(struct messages *, struct selection *);
} verbs[] = {
	{ "search",  0, do_search  },
	{ "flags",   1, do_flags   },
	{ "expunge", 0, do_expunge },
	{ "copy",    1, do_copy    },
	{ "move",    1, do_move    },
};
/* clang-format on */

int
message_do(const char *name, struct message_work *w)
{
	const struct verb *v = NULL;
	struct messages    m = { .work = w };
	struct selection   s = { .ctx = &m };
	int                status;

	if (strcmp(name, "fetch") == 0)
		return w->argc < 2 ? MESSAGE_CALLED_WRONGLY : message_fetch_run(w);
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (strcmp(name, verbs[i].name) == 0)
			v = &verbs[i];
	if (v == NULL || w->argc <= v->words)
		return MESSAGE_CALLED_WRONGLY;
	if (!query_read(&s.query, w->argc - v->words, w->argv + v->words))
		return w->doveadm ? COMMAND_WRONG : COMMAND_FAILED;
	status = v->run(&m, &s);
	query_close(&s.query);
	return status;
}

/* "add \Seen QUERY": the word that says how is taken out. */
static bool
take_how(struct message_work *w)
{
	static const char *const hows[][2] = { { "add", "+FLAGS" },
		                               { "remove", "-FLAGS" },
		                               { "replace", "FLAGS" } };

	for (size_t i = 0; i < COUNT(hows) && w->argc > 0; i++)
		if (strcmp(w->argv[0], hows[i][0]) == 0) {
			w->how = hows[i][1];
			w->argc--;
			w->argv++;
			return true;
		}
	return false;
}

static int
run_message(struct call *c)
{
	struct message_work w = { .call = c };
	int                 status = MESSAGE_CALLED_WRONGLY;

	static const struct {
		const char *name;
		int (*run)(struct call *);
	} letters[] = { { "append", message_append },
		        { "import", message_import },
		        { "export", message_export } };

	if (c->argc < 3)
		return command_wrong(c, "message wants to know what, and whose");
	for (size_t i = 0; i < COUNT(letters); i++)
		if (strcmp(c->argv[1], letters[i].name) == 0)
			return letters[i].run(c);
	if (!output_option(c, strcmp(c->argv[1], "fetch") == 0 ? OUTPUT_PAGER : OUTPUT_TABLE,
	                   &w.form))
		return COMMAND_WRONG;
	(void)command_option(c, "--to", &w.owner);
	w.empty = command_option(c, "--delete-empty-mailbox", NULL);
	if (c->argc > 2) {
		w.who = c->argv[2];
		w.argc = c->argc - 3;
		w.argv = c->argv + 3;
		w.many = strpbrk(w.who, "*?") != NULL ||
		         (strchr(w.who, '@') == NULL && strchr(w.who, '.') != NULL);
	}
	if (w.who != NULL && (strcmp(c->argv[1], "flags") != 0 || take_how(&w)))
		status = message_do(c->argv[1], &w);
	return status == MESSAGE_CALLED_WRONGLY
	               ? command_wrong(c, "message %s cannot be called so", c->argv[1])
	               : status;
}

/* mailbox -- the mailboxes of an account: listed, counted, made, removed, renamed */

#include "command/mailbox.h"

#include <stdio.h>
#include <string.h>

#include "access/imap/reach.h"
#include "command/folders.h"
#include "command/keepers.h"
#include "message/date.h"
#include "role/wire.h"

static int run_mailbox(struct call *);

const struct command command_mailbox = {
	.name = "mailbox",
	.forms = "mailbox list ACCOUNT [PATTERN ...] [--subscribed] [--json | -f FORM]\n"
		 "mailbox status ACCOUNT [PATTERN ...] [--fields FIELDS] [--json | -f FORM]\n"
		 "mailbox create ACCOUNT MAILBOX ... [--use USE] [--subscribe]\n"
		 "mailbox delete ACCOUNT MAILBOX ... [--recursive] [--empty] [--unsubscribe]\n"
		 "mailbox rename ACCOUNT MAILBOX NEW\n"
		 "mailbox subscribe ACCOUNT MAILBOX ...\n"
		 "mailbox unsubscribe ACCOUNT MAILBOX ...\n"
		 "mailbox acl ACCOUNT MAILBOX [WHO RIGHTS|none] [--json | -f FORM]\n"
		 "mailbox metadata ACCOUNT MAILBOX [ENTRY [VALUE]] [--json | -f FORM]\n"
		 "mailbox check ACCOUNT\n"
		 "mailbox convert ACCOUNT --to LOCATION\n"
		 "mailbox index ACCOUNT [--rebuild] [--json | -f FORM]",
	.about = "Lists, counts, makes, removes and renames the mailboxes of an account.",
	.more = "ACCOUNT is an address, or several: *@example.com, example.com, or * for everybody. The names of mailboxes "
		"are UTF-8 with / between levels; in a PATTERN * stands for anything and % for anything but /.\n"
		"\n"
		"FIELDS are of messages, recent, unseen, uidnext, uidvalidity, highestmodseq, size and id; all if not "
		"said. USE is drafts, sent, junk, trash or archive.\n"
		"\n"
		"delete leaves the levels below unless --recursive is said, and with --empty refuses a mailbox that "
		"holds messages. check verifies the index of the account and that every letter it points at is there.\n"
		"\n"
		"acl shows who may do what with a mailbox, or gives WHO these RIGHTS, the letters of rfc4314: an address, $ADDRESS for a group, anyone or authenticated, "
		"and with - before it for rights that are taken from it. metadata shows the "
		"notes on a mailbox, or sets one; an empty VALUE takes it away, and an empty MAILBOX means the server.\n"
		"\n"
		"convert moves the letters to another mail_location (as maildir:/var/vmail/%d/%n, mbox:/var/vmail/%d/%n or log), whose "
		"directory must be that of mail_location or in mail_location_directories. Uids, flags, keywords and dates stay; each letter "
		"is read back and compared. The account is served meanwhile; its readers are asked to come again at the end. What was "
		"interrupted goes on when it is said again. Where letters lie already nothing is moved in, and the old place stays as it "
		"is. Set mail_location, too, for accounts to come.\n"
		"\n"
		"index shows how many letters are in the text index of the account, and its bytes; with --rebuild it is dropped and "
		"made anew in the background.\n"
		"\n"
		"FORM is table, flow, tab, pager, json or values.",
	.run = run_mailbox,
};

/* ---- the verbs ---- */

/* Says why not; the status. */
int
mailbox_refused(struct client *c, const char *name, enum client_outcome o)
{
	const char *said = client_said(c);
	int status = strstr(said, "[NONEXISTENT]") != NULL ? COMMAND_NOT_FOUND : COMMAND_FAILED;

	if (o == CLIENT_OK)
		return COMMAND_DONE;
	(void)fprintf(stderr, "mansio: %s: %s: %s\n", client_user(c), name, said);
	return status;
}

/* "WORD mailbox" */
static int
say_of(struct client *c, const char *word, const char *name)
{
	buffer_printf(client_begin(c), "%s ", word);
	client_put_mailbox(c, name);
	return mailbox_refused(c, name, client_run(c, NULL, NULL));
}

/* What several accounts see is listed with the account whose it is. */
static bool
is_others(const char *name)
{
	return strncmp(name, OTHERS, sizeof OTHERS - 1) == 0 ||
	       strncmp(name, GROUPS, sizeof GROUPS - 1) == 0;
}

static int
do_list(struct client *c, struct mailbox_work *w)
{
	struct arena  *life = arena_open(NULL);
	struct folders all;
	int            why = folders_list(c, life, w->subscribe, &all);

	for (size_t i = 0; why == 0 && i < all.count; i++) {
		const struct folder *f = &all.one[i];
		if ((!f->exists && !w->subscribe) || !pattern_of_any(w->argv, w->argc, f->name) ||
		    (w->many && w->argc == 0 && is_others(f->name)))
			continue;
		if (w->many)
			output_value(w->out, bytes_of(client_user(c)));
		output_value(w->out, bytes_of(f->name));
		if (w->doveadm)
			continue;
		output_value(w->out, bytes_of(f->use));
		output_value(w->out, f->subscribed ? BYTES("yes") : BYTES("no"));
	}
	arena_close(&life);
	return why == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* clang-format off */
static const struct status_field {
	const char *name, *item;
	bool        sums;
} status_fields[] = {
	{ "messages", "MESSAGES", true }, { "recent", "RECENT", true }, { "unseen", "UNSEEN", true },
	{ "uidnext", "UIDNEXT", false }, { "uidvalidity", "UIDVALIDITY", false },
	{ "highestmodseq", "HIGHESTMODSEQ", false }, { "size", "SIZE", true }, { "id", "", false },
};
/* What doveadm calls them, in its order. */
static const struct status_field doveadm_fields[] = {
	{ "messages", "MESSAGES", true }, { "recent", "RECENT", true },
	{ "uidnext", "UIDNEXT", false }, { "uidvalidity", "UIDVALIDITY", false }, { "unseen", "UNSEEN", true },
	{ "highestmodseq", "HIGHESTMODSEQ", false }, { "vsize", "SIZE", true }, { "guid", "", false },
	{ "firstsaved", "", false },
};
/* clang-format on */
enum { FIELDS_MOST = 16 };

static const struct output_column user_column = { "Username", "username", true, false };

struct status_work {
	const struct status_field *known;
	size_t                     known_count;
	const struct status_field *field[FIELDS_MOST];
	struct output_column       column[FIELDS_MOST + 2];
	size_t                     fields, columns;
	uint64_t                   value[FIELDS_MOST], sum[FIELDS_MOST];
};

static bool
add_field(struct status_work *s, struct bytes name)
{
	for (size_t i = 0; i < s->known_count; i++)
		if (bytes_is(name, s->known[i].name) && s->fields < FIELDS_MOST) {
			s->field[s->fields++] = &s->known[i];
			return true;
		}
	(void)fprintf(stderr, "mansio: \"%.*s\" is not a field; right would be", (int)name.len,
	              name.at);
	for (size_t i = 0; i < s->known_count; i++)
		(void)fprintf(stderr, "%s %s", i > 0 ? "," : "", s->known[i].name);
	(void)fputc('\n', stderr);
	return false;
}

/* doveadm tells each field once, in its own order. */
static void
sort_fields(struct status_work *s)
{
	const struct status_field *said[FIELDS_MOST];
	size_t                     count = s->fields;

	memcpy(said, s->field, sizeof said);
	s->fields = 0;
	for (size_t i = 0; i < s->known_count; i++)
		for (size_t k = 0; k < count; k++)
			if (said[k] == &s->known[i]) {
				s->field[s->fields++] = said[k];
				break;
			}
}

static bool
read_fields(struct mailbox_work *w, struct status_work *s)
{
	struct bytes rest = bytes_of(w->fields), name;

	s->known = w->doveadm ? doveadm_fields : status_fields;
	s->known_count = w->doveadm ? COUNT(doveadm_fields) : COUNT(status_fields);
	if (w->fields == NULL || strcmp(w->fields, "all") == 0) {
		for (size_t i = 0; i < s->known_count; i++)
			if (!w->total || s->known[i].sums)
				s->field[s->fields++] = &s->known[i];
	} else
		while (bytes_split(&rest, ' ', &name))
			if (name.len > 0 && !add_field(s, name))
				return false;
	if (w->doveadm)
		sort_fields(s);
	if (w->many)
		s->column[s->columns++] =
			w->doveadm ? user_column : (struct output_column){ .title = "user" };
	if (!w->total)
		s->column[s->columns++] =
			(struct output_column){ .title = "mailbox", .untitled = w->doveadm };
	for (size_t i = 0; i < s->fields; i++)
		s->column[s->columns++].title = s->field[i]->name;
	return s->fields > 0;
}

/* "* STATUS name (MESSAGES 3 ...)" */
static void
hear_status(void *ctx, struct client *c, const struct client_answer *a)
{
	struct status_work *s = ctx;
	struct client_value v;

	if (!bytes_is(a->word, "STATUS"))
		return;
	client_next(c, &v);
	client_next(c, &v);
	for (client_next(c, &v); v.kind == VALUE_ATOM; client_next(c, &v)) {
		char item[32];
		(void)bytes_string(v.text, item, sizeof item);
		client_next(c, &v);
		for (size_t i = 0; i < s->fields; i++)
			if (strcmp(item, s->field[i]->item) == 0)
				(void)bytes_number(v.text, &s->value[i]);
	}
}

/* FETCH 1 (SAVEDATE "23-Nov-2026 05:49:43 +0000") */
static void
hear_saved(void *ctx, struct client *c, const struct client_answer *a)
{
	struct client_value v;
	struct buffer       date = { 0 };
	int32_t             zone;
	bool                next = false;

	if (!bytes_is(a->word, "FETCH"))
		return;
	for (client_next(c, &v); v.kind != VALUE_END; client_next(c, &v)) {
		if (next && v.kind == VALUE_STRING)
			client_gather(c, &v, &date, 64);
		next = v.kind == VALUE_ATOM && bytes_is(v.text, "SAVEDATE");
	}
	(void)imap_datetime_parse(buffer_bytes(&date), ctx, &zone);
	buffer_free(&date);
}

/* When the first message of a mailbox was put there. */
static void
print_first_saved(struct client *c, struct output *o, const char *name)
{
	int64_t seconds = 0;

	buffer_add_string(client_begin(c), "EXAMINE ");
	client_put_mailbox(c, name);
	if (client_run(c, NULL, NULL) == CLIENT_OK) {
		(void)client_say(c, hear_saved, &seconds, "FETCH 1 (SAVEDATE)");
		(void)client_say(c, NULL, NULL, "UNSELECT");
	}
	if (seconds == 0)
		output_value(o, BYTES("never"));
	else
		output_text(o, "%lld", (long long)seconds);
}

static void
print_status(struct client *c, struct mailbox_work *w, const struct status_work *s,
             const char *name, const uint64_t *value)
{
	char id[64];

	if (w->many)
		output_value(w->out, bytes_of(client_user(c)));
	if (!w->total)
		output_value(w->out, bytes_of(name));
	for (size_t i = 0; i < s->fields; i++)
		if (*s->field[i]->item != '\0')
			output_text(w->out, "%llu", (unsigned long long)value[i]);
		else if (strcmp(s->field[i]->name, "firstsaved") == 0)
			print_first_saved(c, w->out, name);
		else {
			(void)folder_id(c, name, id);
			output_value(w->out, bytes_of(id));
		}
}

static int
status_of(struct client *c, struct mailbox_work *w, struct status_work *s, const char *name)
{
	buffer_add_string(client_begin(c), "STATUS ");
	client_put_mailbox(c, name);
	buffer_add_string(client_out(c), " (UIDVALIDITY");
	for (size_t i = 0; i < s->fields; i++)
		if (*s->field[i]->item != '\0' && strcmp(s->field[i]->item, "UIDVALIDITY") != 0)
			buffer_printf(client_out(c), " %s", s->field[i]->item);
	buffer_add_char(client_out(c), ')');
	memset(s->value, 0, sizeof s->value);
	if (client_run(c, hear_status, s) != CLIENT_OK)
		return mailbox_refused(c, name, CLIENT_NO);
	for (size_t i = 0; i < s->fields; i++)
		s->sum[i] += s->value[i];
	if (!w->total)
		print_status(c, w, s, name, s->value);
	return COMMAND_DONE;
}

/* A pattern without a wildcard is a name, and it must be there. */
static int
check_names(struct client *c, const struct mailbox_work *w, const struct folders *all)
{
	int status = COMMAND_DONE;

	for (int i = 0; i < w->argc; i++) {
		bool there = strpbrk(w->argv[i], "*%") != NULL;
		for (size_t k = 0; k < all->count && !there; k++)
			there = all->one[k].exists &&
			        pattern_of_any(w->argv + i, 1, all->one[k].name);
		if (!there) {
			(void)fprintf(stderr, "mansio: %s: there is no mailbox %s\n",
			              client_user(c), w->argv[i]);
			status = COMMAND_NOT_FOUND;
		}
	}
	return status;
}

static int
do_status(struct client *c, struct mailbox_work *w)
{
	struct arena       *life = arena_open(NULL);
	struct status_work *s = w->status;
	struct folders      all = { 0 };
	int                 status = COMMAND_FAILED, one;

	memset(s->sum, 0, sizeof s->sum);
	if (folders_list(c, life, false, &all) == 0)
		status = check_names(c, w, &all);
	for (size_t i = 0; i < all.count; i++)
		if (all.one[i].exists && pattern_of_any(w->argv, w->argc, all.one[i].name) &&
		    (one = status_of(c, w, s, all.one[i].name)) > status)
			status = one;
	if (w->total)
		print_status(c, w, s, "", s->sum);
	arena_close(&life);
	return status;
}

static int
do_create(struct client *c, struct mailbox_work *w)
{
	int status = COMMAND_DONE, one;

	for (int i = 0; i < w->argc; i++) {
		buffer_add_string(client_begin(c), "CREATE ");
		client_put_mailbox(c, w->argv[i]);
		if (w->use != NULL)
			buffer_printf(client_out(c), " (USE (\\%s))", w->use);
		one = mailbox_refused(c, w->argv[i], client_run(c, NULL, NULL));
		if (one == COMMAND_DONE && w->subscribe)
			one = say_of(c, "SUBSCRIBE", w->argv[i]);
		status = one > status ? one : status;
	}
	return status;
}

static bool
is_empty(struct client *c, const char *name)
{
	struct status_work s = { .field = { &status_fields[0] }, .fields = 1 };

	buffer_add_string(client_begin(c), "STATUS ");
	client_put_mailbox(c, name);
	buffer_add_string(client_out(c), " (MESSAGES)");
	return client_run(c, hear_status, &s) != CLIENT_OK || s.value[0] == 0;
}

static int
delete_one(struct client *c, const struct mailbox_work *w, const char *name)
{
	int status;

	if (w->empty && !is_empty(c, name)) {
		(void)fprintf(stderr, "mansio: %s: %s is not empty\n", client_user(c), name);
		return COMMAND_FAILED;
	}
	status = say_of(c, "DELETE", name);
	return status == COMMAND_DONE && w->subscribe ? say_of(c, "UNSUBSCRIBE", name) : status;
}

/* The levels below first, the deepest of them before. */
static int
delete_below(struct client *c, const struct mailbox_work *w, const char *name)
{
	struct arena  *life = arena_open(NULL);
	struct folders all = { 0 };
	size_t         n = strlen(name);
	int            status = COMMAND_DONE, one;

	(void)folders_list(c, life, false, &all);
	for (size_t i = all.count; i-- > 0;) {
		const struct folder *f = &all.one[i];
		if (!f->exists || strncmp(f->name, name, n) != 0 || f->name[n] != '/')
			continue;
		one = delete_one(c, w, f->name);
		status = one > status ? one : status;
	}
	arena_close(&life);
	return status;
}

static int
do_delete(struct client *c, struct mailbox_work *w)
{
	int status = COMMAND_DONE, one;

	for (int i = 0; i < w->argc; i++) {
		one = w->recursive ? delete_below(c, w, w->argv[i]) : COMMAND_DONE;
		if (one == COMMAND_DONE)
			one = delete_one(c, w, w->argv[i]);
		status = one > status ? one : status;
	}
	return status;
}

static int
do_rename(struct client *c, struct mailbox_work *w)
{
	int status;

	buffer_add_string(client_begin(c), "RENAME ");
	client_put_mailbox(c, w->argv[0]);
	buffer_add_char(client_out(c), ' ');
	client_put_mailbox(c, w->argv[1]);
	status = mailbox_refused(c, w->argv[0], client_run(c, NULL, NULL));
	if (status == COMMAND_DONE && w->subscribe &&
	    (status = say_of(c, "UNSUBSCRIBE", w->argv[0])) == COMMAND_DONE)
		status = say_of(c, "SUBSCRIBE", w->argv[1]);
	return status;
}

static int
do_subscribe(struct client *c, struct mailbox_work *w)
{
	int status = COMMAND_DONE, one;

	for (int i = 0; i < w->argc; i++)
		if ((one = say_of(c, "SUBSCRIBE", w->argv[i])) > status)
			status = one;
	return status;
}

static int
do_unsubscribe(struct client *c, struct mailbox_work *w)
{
	int status = COMMAND_DONE, one;

	for (int i = 0; i < w->argc; i++)
		if ((one = say_of(c, "UNSUBSCRIBE", w->argv[i])) > status)
			status = one;
	return status;
}

/* ---- the table ---- */

/* clang-format off */
static const struct verb {
	const char *name;
	int         least, most;       /* arguments behind the account; most 0: any number */
	int       (*run)(struct client *, struct mailbox_work *);
} verbs[] = {
	{ "list",        0, 0, do_list        },
	{ "status",      0, 0, do_status      },
	{ "create",      1, 0, do_create      },
	{ "delete",      1, 0, do_delete      },
	{ "rename",      2, 2, do_rename      },
	{ "subscribe",   1, 0, do_subscribe   },
	{ "unsubscribe", 1, 0, do_unsubscribe },
	{ "acl", 1, 20, mailbox_acl },
	{ "metadata", 1, 3, mailbox_metadata },
};
/* clang-format on */

/* Those that print rows open them; false after saying why not. */
static bool
open_rows(const struct verb *v, struct mailbox_work *w)
{
	static const char *const          list[] = { "user", "mailbox", "use", "subscribed" };
	static const char *const          acl[] = { "who", "rights" };
	static const struct output_column words[] = { { "ID", "id", false, false },
		                                      { "Global", "global", false, false },
		                                      { "Rights", "rights", false, false } };
	const struct output_column        names[] = { user_column,
		                                      { .title = "mailbox", .untitled = true } };
	static const char *const          metadata[] = { "entry", "value" };

	if (v->run == do_list && w->doveadm)
		w->out = output_open_as_doveadm(w->form, names + !w->many, 1 + (size_t)w->many);
	else if (v->run == do_list)
		w->out = output_open(w->form, w->many ? list : list + 1, 3 + (size_t)w->many);
	if (v->run == mailbox_acl && w->rights_as_words == NULL)
		w->out = output_open(w->form, acl, COUNT(acl));
	if (v->run == mailbox_acl && w->rights_as_words != NULL && w->argc == 1)
		w->out = strcmp(w->rights_as_words, "rights") == 0
		                 ? output_open_as_doveadm(w->form, words + 2, 1)
		                 : output_open_as_doveadm(w->form, words, COUNT(words));
	if (v->run == mailbox_metadata && w->notes != NULL && strchr("gl", w->notes[0]) != NULL)
		w->out = output_open_as_doveadm(w->form,
		                                &(struct output_column){ .title = w->notes[0] == 'g'
		                                                                          ? "value"
		                                                                          : "key",
		                                                         .untitled = true },
		                                1);
	else if (v->run == mailbox_metadata && w->notes == NULL)
		w->out = output_open(w->form, metadata, COUNT(metadata));
	if (v->run != do_status)
		return true;
	if (!read_fields(w, w->status))
		return false;
	if (w->doveadm)
		w->out = output_open_as_doveadm(w->form, w->status->column, w->status->columns);
	else {
		const char *titles[FIELDS_MOST + 2];
		for (size_t i = 0; i < w->status->columns; i++)
			titles[i] = w->status->column[i].title;
		w->out = output_open(w->form, titles, w->status->columns);
	}
	return true;
}

int
mailbox_do(const char *verb, const char *who, struct mailbox_work *w)
{
	const struct verb *v = NULL;
	struct status_work fields = { .fields = 0 };
	struct people      people;
	int                status, one;

	for (size_t i = 0; i < COUNT(verbs); i++)
		if (strcmp(verb, verbs[i].name) == 0)
			v = &verbs[i];
	if (v == NULL || w->argc < v->least || (v->most > 0 && w->argc > v->most))
		return MAILBOX_CALLED_WRONGLY;
	status = client_people(w->call, who, &people);
	w->many = w->doveadm ? w->many : people.count > 1;
	w->status = &fields;
	if (status == COMMAND_DONE && !open_rows(v, w))
		status = w->doveadm ? MAILBOX_CALLED_WRONGLY : COMMAND_FAILED;
	for (size_t i = 0; status >= 0 && status != COMMAND_FAILED && i < people.count; i++) {
		struct client *c = client_open(w->call, &people.one[i]);
		one = c != NULL ? v->run(c, w) : COMMAND_FAILED;
		status = one > status ? one : status;
		client_close(&c);
	}
	output_close(&w->out);
	people_close(&people);
	return status;
}

/* One account after the other; the keeper that has it does the work. */
static int
convert(struct call *c)
{
	struct people people = { 0 };
	const char   *to = NULL;
	int           status;

	if (!command_option(c, "--to", &to) || to == NULL || c->argc != 3)
		return command_wrong(c, "mailbox convert wants an account and --to LOCATION");
	status = client_people(c, c->argv[2], &people);
	for (size_t i = 0; status == COMMAND_DONE && i < people.count; i++) {
		struct buffer said = { 0 };
		char          id[24], role[32];
		const char   *ask[] = { "convert", id, people.one[i].user, to };
		(void)snprintf(id, sizeof id, "%llu", (unsigned long long)people.one[i].id);
		keeper_socket(people.one[i].keeper, role);
		status = command_talk(c, role, &(struct word_ask){ ask, COUNT(ask), { NULL, 0 } },
		                      -1, &said);
		if (said.len > 0)
			(void)fwrite(said.at, 1, said.len, stdout);
		buffer_free(&said);
	}
	people_close(&people);
	return status;
}

static int
index_text(struct call *c)
{
	static const char *const columns[] = { "user", "letters", "bytes" };
	bool                     rebuild = command_option(c, "--rebuild", NULL);
	struct people            people = { 0 };
	struct output           *o;
	enum output_form         form;
	int                      status, one;

	if (!output_option(c, OUTPUT_TABLE, &form))
		return COMMAND_WRONG;
	if (c->argc != 3)
		return command_wrong(c, "mailbox index wants an account");
	status = client_people(c, c->argv[2], &people);
	o = rebuild ? NULL : output_open(form, columns, COUNT(columns));
	for (size_t i = 0; i < people.count; i++) {
		struct buffer said = { 0 };
		struct bytes  rest, word;
		char          id[24], role[32];
		const char   *ask[] = { "index", id, people.one[i].user, "drop" };

		(void)snprintf(id, sizeof id, "%llu", (unsigned long long)people.one[i].id);
		keeper_socket(people.one[i].keeper, role);
		one = command_talk(c, role, &(struct word_ask){ ask, rebuild ? 4 : 3, { NULL, 0 } },
		                   -1, &said);
		status = one > status ? one : status;
		rest = bytes_trim(buffer_bytes(&said));
		if (one == COMMAND_DONE && !rebuild && bytes_split(&rest, ' ', &word)) {
			output_value(o, bytes_of(people.one[i].user));
			output_value(o, word);
			output_value(o, rest);
		}
		buffer_free(&said);
	}
	output_close(&o);
	people_close(&people);
	return status;
}

static int
run_mailbox(struct call *c)
{
	struct mailbox_work w = { .call = c };
	const char         *check[] = { "store", "check", NULL, NULL };
	int                 status;

	if (c->argc < 3)
		return command_wrong(c, "mailbox wants to know what, and whose");
	if (strcmp(c->argv[1], "check") == 0 && c->argc == 3) {
		check[2] = c->argv[2];
		return command_store.run(
			&(struct call){ &command_store, c->config, 3, (char **)(uintptr_t)check });
	}
	if (strcmp(c->argv[1], "convert") == 0)
		return convert(c);
	if (strcmp(c->argv[1], "index") == 0)
		return index_text(c);
	if (!output_option(c, OUTPUT_TABLE, &w.form))
		return COMMAND_WRONG;
	w.subscribe = command_option(c, "--subscribed", NULL) ||
	              command_option(c, "--subscribe", NULL) ||
	              command_option(c, "--unsubscribe", NULL);
	w.recursive = command_option(c, "--recursive", NULL);
	w.empty = command_option(c, "--empty", NULL);
	(void)command_option(c, "--use", &w.use);
	(void)command_option(c, "--fields", &w.fields);
	if (c->argc < 3)
		return command_wrong(c, "mailbox %s wants to know whose", c->argv[1]);
	for (int i = 2; i < c->argc; i++)
		if (strncmp(c->argv[i], "--", 2) == 0)
			return command_wrong(c, "mailbox %s does not know \"%s\"", c->argv[1],
			                     c->argv[i]);
	w.argc = c->argc - 3;
	w.argv = c->argv + 3;
	status = mailbox_do(c->argv[1], c->argv[2], &w);
	return status == MAILBOX_CALLED_WRONGLY
	               ? command_wrong(c, "mailbox %s cannot be called so", c->argv[1])
	               : status;
}

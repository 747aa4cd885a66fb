#include "command/doveadm.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "command/mailbox.h"
#include "command/message.h"
#include "message/encoding.h"

bool
doveadm_many(const char *who)
{
	return strpbrk(who, "*?") != NULL;
}

int
doveadm_mailbox(struct dove *d, const char *verb)
{
	struct mailbox_work w = { .call = d->call,
		                  .argc = d->argc,
		                  .argv = d->argv,
		                  .subscribe = d->on['s'],
		                  .recursive = d->on['r'],
		                  .empty = d->on['e'],
		                  .total = d->on['t'],
		                  .doveadm = true,
		                  .many = doveadm_many(d->who) };
	bool                status = strcmp(verb, "status") == 0;

	if (status && d->argc < 2)
		return MAILBOX_CALLED_WRONGLY;
	if (status) {
		w.fields = w.argv[0];
		w.argc--;
		w.argv++;
	}
	w.form = d->formed ? d->form : OUTPUT_FLOW;
	return mailbox_do(verb, d->who, &w);
}

int
doveadm_acl(struct dove *d, const char *verb)
{
	struct mailbox_work w = {
		.call = d->call, .argc = d->argc, .argv = d->argv, .rights_as_words = verb
	};

	if (d->argc > 1 && d->who != NULL && strcmp(d->argv[1], "owner") == 0)
		d->argv[1] = (char *)(uintptr_t)d->who;
	w.form = d->formed ? d->form : OUTPUT_TABLE;
	return mailbox_do("acl", d->who, &w);
}

/* "metadata get": MAILBOX ENTRY [VALUE]; with -s it is the server's. */
int
doveadm_metadata(struct dove *d, const char *verb)
{
	static char         nothing[] = "";
	const char         *how = verb + sizeof "metadata";
	char               *argv[3];
	struct mailbox_work w = { .call = d->call, .argc = d->argc, .argv = argv, .notes = how };

	if (d->argc + (strcmp(how, "unset") == 0) > 3 || (how[0] == 's' && d->argc != 3) ||
	    (how[0] != 's' && how[0] != 'l' && d->argc != 2))
		return MAILBOX_CALLED_WRONGLY;
	memcpy(argv, d->argv, (size_t)d->argc * sizeof *argv);
	if (d->on['s'])
		argv[0] = nothing;
	if (how[0] == 'l' && d->argc > 1) /* all are told */
		w.argc = 1;
	if (how[0] == 'u')
		argv[w.argc++] = nothing;
	w.form = d->formed ? d->form : OUTPUT_FLOW;
	return mailbox_do("metadata", d->who, &w);
}

/* A name as a client of IMAP4rev1 knows it, or with -7 back from that. */
int
doveadm_mutf7(struct dove *d, const char *verb)
{
	struct buffer name = { 0 };
	int           status = COMMAND_DONE;

	(void)verb;
	for (int i = 0; i < d->argc; i++) {
		buffer_reset(&name);
		if (!d->on['7'])
			utf8_to_utf7(bytes_of(d->argv[i]), &name);
		else if (!utf7_to_utf8(bytes_of(d->argv[i]), &name)) {
			(void)fprintf(stderr, "doveadm: \"%s\" is not modified UTF-7\n",
			              d->argv[i]);
			buffer_reset(&name);
			status = COMMAND_FAILED;
		}
		buffer_add_char(&name, '\n');
		command_print(buffer_bytes(&name), stdout);
	}
	buffer_free(&name);
	return status;
}

int
doveadm_message(struct dove *d, const char *verb)
{
	bool                fetch = strcmp(verb, "fetch") == 0;
	struct message_work w = { .call = d->call,
		                  .who = d->who,
		                  .argc = d->argc,
		                  .argv = d->argv,
		                  .doveadm = true,
		                  .many = doveadm_many(d->who),
		                  .empty = d->on['d'] };

	w.form = d->formed ? d->form : fetch ? OUTPUT_PAGER : OUTPUT_FLOW;
	return message_do(verb, &w);
}

/* As there, nothing is removed by a query that was left half said: it names mailboxes, and messages in them. */
int
doveadm_expunge(struct dove *d, const char *verb)
{
	struct query q;
	bool         mailbox, messages;

	if (!query_read(&q, d->argc, d->argv))
		return COMMAND_WRONG;
	mailbox = query_covers(&q, true);
	messages = query_covers(&q, false);
	query_close(&q);
	if (!mailbox)
		return doveadm_usage(
			"expunge: the query, or a branch of it, lacks MAILBOX; right would be mailbox INBOX ..., or "
			"mailbox \"*\" ... for all of them",
			"");
	if (!messages)
		return doveadm_usage(
			"expunge: the query, or a branch of it, says nothing besides MAILBOX; all means every "
			"message there",
			"");
	return doveadm_message(d, verb);
}

static bool
system_flags_known(const char *flags)
{
	static const char *const known[] = { "\\Answered", "\\Flagged", "\\Deleted", "\\Seen",
		                             "\\Draft" };
	struct bytes             rest = bytes_of(flags), word;

	while (bytes_split(&rest, ' ', &word)) {
		size_t i = 0;
		while (word.len > 0 && word.at[0] == '\\' && i < COUNT(known) &&
		       !bytes_is(word, known[i]))
			i++;
		if (i < COUNT(known))
			continue;
		(void)fprintf(stderr,
		              "doveadm: %.*s is not a flag; right would be \\Answered, \\Flagged, "
		              "\\Deleted, \\Seen, \\Draft, or a keyword without \\\n",
		              (int)word.len, word.at);
		return false;
	}
	return true;
}

int
doveadm_flags(struct dove *d, const char *verb)
{
	struct message_work w = {
		.call = d->call, .who = d->who, .argc = d->argc, .argv = d->argv, .doveadm = true
	};

	if (!system_flags_known(d->argv[0]))
		return COMMAND_WRONG;
	w.how = verb[0] == 'a' ? "+FLAGS" : strcmp(verb, "remove") == 0 ? "-FLAGS" : "FLAGS";
	return message_do("flags", &w);
}

/* copy DESTINATION [user SOURCE] QUERY: -u is whose the destination is. */
int
doveadm_transfer(struct dove *d, const char *verb)
{
	struct message_work w = {
		.call = d->call, .who = d->who, .argc = d->argc, .argv = d->argv, .doveadm = true
	};

	if (d->argc > 3 && strcmp(d->argv[1], "user") == 0) {
		w.owner = d->who;
		w.who = d->argv[2];
		d->argv[2] = d->argv[0];
		w.argc -= 2;
		w.argv += 2;
	}
	return message_do(verb, &w);
}

/* Where it is not, none is made. */
static int
is_there(struct dove *d, const char *mailbox)
{
	struct people  people;
	int            status = client_people(d->call, d->who, &people);
	struct client *c = status == COMMAND_DONE ? client_open(d->call, &people.one[0]) : NULL;

	if (c != NULL) {
		buffer_add_string(client_begin(c), "STATUS ");
		client_put_mailbox(c, mailbox);
		buffer_add_string(client_out(c), " (MESSAGES)");
		status = mailbox_refused(c, mailbox, client_run(c, NULL, NULL));
	} else if (status == COMMAND_DONE)
		status = COMMAND_FAILED;
	client_close(&c);
	people_close(&people);
	return status;
}

/* What has nothing to do but for mailboxes that are there. */
int
doveadm_exists(struct dove *d, const char *verb)
{
	int status = COMMAND_DONE;

	(void)verb;
	for (int i = 0; i < d->argc && status == COMMAND_DONE; i++)
		status = is_there(d, d->argv[i]);
	return status;
}

int
doveadm_save(struct dove *d, const char *verb)
{
	const char *mailbox = d->value['m'] != NULL ? d->value['m'] : "INBOX";
	int         status = is_there(d, mailbox);

	(void)verb;
	if (status != COMMAND_DONE)
		return status;
	return doveadm_run_as(d, &command_message,
	                      (const char *const[]){ "message", "append", d->who, mailbox,
	                                             d->argc > 0 ? "--file" : NULL,
	                                             d->argc > 0 ? d->argv[0] : NULL, NULL });
}

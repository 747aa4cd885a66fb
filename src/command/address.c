/* address -- why mail for an address goes where it goes, and where the mail for many goes */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command/command.h"

enum { PIECE = 64 << 10, LINE_MOST = 4096 };

static int run_address(struct call *);

const struct command command_address = {
	.name = "address",
	.forms = "address test ADDRESS\n"
		 "address lookup ADDRESS ...\n"
		 "address lookup -",
	.about = "Tells who would get the mail for an address, and why.",
	.more = "test tells every step in a line: the class of the domain, each table that was asked with its answer, where each alias leads, and in "
		"the end what a client would hear at RCPT or where the copies go. Nothing is sent. The exit status is 1 where the address would be refused or put off.\n"
		"\n"
		"lookup tells where the mail for each address goes, a line each: the address, a tab, and the mailboxes and addresses it comes to; nothing of one that is "
		"not ours or that nobody has. With - the addresses are the lines of standard input, as many as there are: who of a list has a mailbox here is known by it. The exit status is 0 "
		"when there is such an address and every one could be told, else 1.",
	.run = run_address,
};

static int
ask(struct call *c, struct bytes addresses)
{
	static const char *const words[] = { "address", "lookup" };

	return command_ask(c, "clerk", 2, words, addresses);
}

/* What was asked so far: 0 some are there, 1 none or not to be told, others what went wrong. */
static int
worse(int before, int now)
{
	return before > COMMAND_FAILED || now > COMMAND_FAILED
	               ? (before > now ? before : now)
	               : (before == COMMAND_DONE || now == COMMAND_DONE ? COMMAND_DONE
	                                                                : COMMAND_FAILED);
}

/* Lines as they come, whole ones. */
static int
lookup_input(struct call *c)
{
	struct buffer lines = { 0 };
	int           status = COMMAND_FAILED;
	ssize_t       n = 1;

	while (n > 0 && status <= COMMAND_FAILED) {
		ptrdiff_t end;
		n = read(STDIN_FILENO, buffer_room(&lines, PIECE), PIECE);
		if (n > 0)
			buffer_took(&lines, (size_t)n);
		end = n > 0 ? bytes_find_last(buffer_bytes(&lines), '\n')
		            : (ptrdiff_t)lines.len - 1;
		if (end >= 0) {
			status = worse(status,
			               ask(c, bytes_cut(buffer_bytes(&lines), 0, (size_t)end + 1)));
			(void)fflush(stdout);
			buffer_eat(&lines, (size_t)end + 1);
		}
		if (lines.len > LINE_MOST) {
			(void)fprintf(
				stderr,
				"mansio: a line of standard input is too long for an address\n");
			status = COMMAND_WRONG;
		}
	}
	buffer_free(&lines);
	return status;
}

static int
lookup_words(struct call *c)
{
	struct buffer lines = { 0 };
	int           status;

	for (int i = 2; i < c->argc; i++)
		buffer_printf(&lines, "%s\n", c->argv[i]);
	status = ask(c, buffer_bytes(&lines));
	buffer_free(&lines);
	return status;
}

static int
run_address(struct call *c)
{
	bool lookup = c->argc > 2 && strcmp(c->argv[1], "lookup") == 0;

	if (lookup)
		return c->argc == 3 && strcmp(c->argv[2], "-") == 0 ? lookup_input(c)
		                                                    : lookup_words(c);
	if (c->argc != 3 || strcmp(c->argv[1], "test") != 0)
		return command_wrong(
			c,
			"address wants the word test and an address behind it, or lookup and addresses");
	return command_ask(c, "clerk", c->argc, (const char *const *)c->argv,
	                   (struct bytes){ NULL, 0 });
}

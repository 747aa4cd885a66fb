/* A pipe's setting and its words, as Postfix's pipe(8) describes them and Debian's Postfix makes them. */
#include "delivery/pipe.h"
#include "unit.h"

#include <string.h>

struct words_case {
	const char *why, *setting, *sender, *recipient,
		*words; /* each with a | behind; NULL: refused */
};

static const struct words_case cases[] = {
	{ "pipe(8): the usual line", "flags=DRhu user=vmail argv=/usr/bin/maildrop -d ${recipient}",
	  "a@x.example", "Bob@There.Example", "/usr/bin/maildrop|-d|bob@there.example|" },
	{ "pipe(8): three forms of a name, and a dollar",
	  "user=x argv=/bin/x $sender ${sender} $(sender) $$", "a@x", "b@y",
	  "/bin/x|a@x|a@x|a@x|$|" },
	{ "pipe(8): user, extension, mailbox, domain",
	  "user=x argv=/bin/x ${user} ${extension} ${mailbox} ${domain}", "a@x", "u+e@Dom",
	  "/bin/x|u|e|u+e|Dom|" },
	{ "pipe(8): a word in braces", "user=x argv=/bin/x { two words } end", "a@x", "b@y",
	  "/bin/x|two words|end|" },
	{ "pipe(8): null_sender", "user=x argv=/bin/x -f ${sender}", "", "b@y",
	  "/bin/x|-f|MAILER-DAEMON|" },
	{ "pipe(8): an empty null_sender stays a word", "user=x null_sender= argv=/bin/x ${sender}",
	  "", "b@y", "/bin/x||" },
	{ "pipe(8): without q nothing is quoted", "user=x argv=/bin/x ${recipient}", "a@x",
	  "\"o d\"@y", "/bin/x|o d@y|" },
	{ "pipe(8): with q it is", "flags=q user=x argv=/bin/x ${recipient}", "a@x", "\"o d\"@y",
	  "/bin/x|\"o d\"@y|" },
	{ "allow_min_user of postconf(5)", "user=x argv=/bin/x ${recipient}", "a@x", "-oQ/tmp@y",
	  NULL },
	{ "nor behind quotes that are taken away", "user=x argv=/bin/x ${recipient}", "a@x",
	  "\"-oQ/tmp\"@y", NULL },
	{ "nor as one of its parts", "user=x argv=/bin/x $extension", "a@x", "u+-e@y", NULL },
	{ "nor by the sender's", "user=x argv=/bin/x -f $sender", "\"-C/x\"@x", "b@y", NULL },
	{ "behind something it is no option", "user=x argv=/bin/x to=${extension} -$user", "a@x",
	  "u+-e@y", "/bin/x|to=-e|-u|" },
	{ "a name nobody knows", "user=x argv=/bin/x ${nobody}", "a@x", "b@y", NULL },
	{ "a dollar that asks for nothing", "user=x argv=/bin/x $", "a@x", "b@y", NULL },
	{ "a name without its end", "user=x argv=/bin/x ${user", "a@x", "b@y", NULL },
	{ "pipe(8): user is required", "argv=/bin/x", "a@x", "b@y", NULL },
	{ "pipe(8): argv is required", "user=x flags=q", "a@x", "b@y", NULL },
	{ "pipe(8): flags", "user=x flags=Z argv=/bin/x", "a@x", "b@y", NULL },
	{ "no root, no chroot", "user=x chroot=/x argv=/bin/x", "a@x", "b@y", NULL },
	{ "a program has a place", "user=x argv=x", "a@x", "b@y", NULL },
	{ "braces end", "user=x argv=/bin/x {a", "a@x", "b@y", NULL },
};

static void
test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena         *a = arena_open(NULL);
		struct pipe_recipient to = { bytes_of(cases[i].recipient),
			                     bytes_of(cases[i].recipient) };
		struct pipe_facts     f = { .sender = bytes_of(cases[i].sender),
			                    .delimiters = "+",
			                    .recipient = &to,
			                    .recipients = 1 };
		struct pipe_command   c;
		struct buffer         words = { 0 };
		const char           *why = NULL;
		bool                  good = pipe_read(bytes_of(cases[i].setting), a, &c, &why) &&
		            pipe_words(&c, &f, a, &words, &why);

		HOLDS(cases[i].why, good == (cases[i].words != NULL));
		HOLDS(cases[i].why, good || why != NULL);
		for (size_t k = 0; k < words.len; k++)
			if (words.at[k] == '\0')
				words.at[k] = '|';
		if (good)
			SAME(cases[i].why, buffer_bytes(&words), bytes_of(cases[i].words));
		buffer_free(&words);
		arena_close(&a);
	}
}

static void
test_head(void **state)
{
	struct arena         *a = arena_open(NULL);
	struct pipe_recipient to = { BYTES("b@y"), BYTES("alias@y") };
	struct pipe_facts     f = { .sender = BYTES("a@x"), .recipient = &to, .recipients = 1 };
	struct pipe_command   c;
	struct buffer         head = { 0 };
	const char           *why;

	(void)state;
	HOLDS("it is one",
	      pipe_read(BYTES("flags=DOR eol=\\r\\n size=5 user=x:y argv=/bin/x"), a, &c, &why));
	pipe_head(&c, &f, &head);
	SAME("pipe(8): R, O and D", buffer_bytes(&head),
	     BYTES("Return-Path: <a@x>\r\nX-Original-To: alias@y\r\nDelivered-To: b@y\r\n"));
	SAME("eol", c.eol, BYTES("\r\n"));
	SAME("group", c.group, BYTES("y"));
	HOLDS("size", c.size_most == 5);
	buffer_free(&head);
	arena_close(&a);
}

UNIT(test_words, test_head)

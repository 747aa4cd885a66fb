/* Texts that many letters share: one in memory, gone with the last who has it. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "queue/texts.h"

static void
test_shared(void **state)
{
	struct texts *t = texts_open();
	const char   *a = texts_take(t, BYTES("mailbox full")),
		   *b = texts_take(t, BYTES("mailbox full"));
	const char *other = texts_take(t, BYTES("Mailbox full"));
	(void)state;

	HOLDS("once", a == b && texts_count(t) == 2);
	HOLDS("letters are not the same in any case",
	      other != a && strcmp(other, "Mailbox full") == 0);
	texts_drop(t, a);
	HOLDS("somebody has it", texts_count(t) == 2 && strcmp(b, "mailbox full") == 0);
	texts_drop(t, b);
	HOLDS("nobody", texts_count(t) == 1);
	texts_close(&t);
}

static void
test_not_of_here(void **state)
{
	struct texts *t = texts_open();
	const char    twin[] = "4.4.1";
	(void)state;

	HOLDS("nothing is nothing", *texts_take(t, BYTES("")) == '\0' && texts_count(t) == 0);
	(void)texts_take(t, BYTES("4.4.1"));
	texts_drop(t, twin);
	texts_drop(t, "");
	texts_drop(t, "5.0.0");
	HOLDS("a constant that reads alike is left alone", texts_count(t) == 1);
	texts_close(&t);
}

static void
test_many(void **state)
{
	enum { MANY = 5000 };
	struct texts *t = texts_open();
	const char   *has[MANY];
	char          text[40];
	(void)state;

	for (int i = 0; i < MANY; i++) {
		(void)snprintf(text, sizeof text, "no room at host %d", i);
		has[i] = texts_take(t, bytes_of(text));
	}
	HOLDS("all different", texts_count(t) == MANY);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(text, sizeof text, "no room at host %d", i);
		SAME("still its own", bytes_of(has[i]), bytes_of(text));
		texts_drop(t, has[i]);
	}
	HOLDS("none", texts_count(t) == 0);
	texts_close(&t);
}

UNIT(test_shared, test_not_of_here, test_many)

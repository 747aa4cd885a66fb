/*
 * Who gets the mail for any address: aliases made by the lines before the last, asked for by the last.
 * Whatever they say, every target is an account or a remote address, once each, and the same for the same question.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/journal.h"
#include "directory/directory.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct credential any = {
	.hash = "x", .scram_salt = "", .scram_stored = "", .scram_server = ""
};

static struct directory *
village(void)
{
	static const char *const accounts[] = { "jack@example.com", "jill@example.com",
		                                "a+b@example.com", "c@all.example" };
	struct buffer            errors = { 0 };
	struct directory        *d;
	uint64_t                 id;

	journal_open(JOURNAL_FILE, -1, false, "host");
	d = directory_open(":memory:", &errors);
	if (d == NULL)
		abort();
	for (size_t i = 0; i < COUNT(accounts); i++)
		if (directory_account_add(d, bytes_of(accounts[i]), &any, true, &id) !=
		    DIRECTORY_OK)
			abort();
	if (directory_domain_catch_all(d, BYTES("all.example"), BYTES("c@all.example")) !=
	    DIRECTORY_OK)
		abort();
	return d;
}

static enum directory_outcome
ask(struct directory *d, struct bytes address, struct arena *a, struct directory_target **t,
    size_t *n)
{
	enum directory_outcome o = directory_resolve(d, address, "+-", "example.com", a, t, n);

	if (o == DIRECTORY_LATER || o == DIRECTORY_EXISTS || o == DIRECTORY_IN_USE ||
	    (o == DIRECTORY_OK && *n == 0))
		abort();
	for (size_t i = 0; o == DIRECTORY_OK && i < *n; i++) {
		if ((*t)[i].address.len < 3 || ((*t)[i].account & UINT32_MAX) > 4)
			abort();
		for (size_t j = 0; j < i && i < 100; j++)
			if ((*t)[i].account == (*t)[j].account &&
			    bytes_equal((*t)[i].address, (*t)[j].address))
				abort();
	}
	return o;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct directory *d;
	struct bytes             rest = { (const char *)data, size }, line = { NULL, 0 }, next;
	struct arena            *a = arena_open(NULL);
	struct directory_target *t, *again;
	struct credential        c;
	size_t                   n, m;

	if (d == NULL)
		d = village();
	(void)bytes_split(&rest, '\n', &line);
	struct bytes made[32];
	size_t       mades = 0;
	while (bytes_split(&rest, '\n', &next)) {
		struct bytes to = line, from = { NULL, 0 };
		if (mades < COUNT(made) && bytes_split(&to, ' ', &from) &&
		    directory_alias_add(d, from, to) == DIRECTORY_OK)
			made[mades++] = from;
		line = next;
	}
	enum directory_outcome o = ask(d, line, a, &t, &n);
	if (ask(d, line, a, &again, &m) != o || m != n)
		abort();
	(void)directory_credential(d, line, "example.com", a, &c);
	while (mades > 0)
		(void)directory_alias_delete(d, made[--mades], BYTES(""));
	arena_close(&a);
	return 0;
}

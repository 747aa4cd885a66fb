#include "command/conformance.h"

#include <stdio.h>
#include <string.h>

#include "access/imap/capability.h"
#include "access/imap/session.h"

/* "rfc9051:6.3.1" as a link to where that stands; anything else as it is. */
static void
put_link(const char *where)
{
	struct bytes document, rest = bytes_of(where);

	if (strncmp(where, "rfc", 3) != 0) {
		(void)printf("%s", where);
		return;
	}
	(void)bytes_split(&rest, ':', &document);
	(void)printf("[%s](https://www.rfc-editor.org/rfc/%.*s", where, (int)document.len,
	             document.at);
	if (rest.len > 0)
		(void)printf("#section-%.*s", (int)rest.len, rest.at);
	(void)printf(")");
}

static const char *
place_of(const struct imap_command *c)
{
	return c->in == NOWHERE ? "before login" : c->in == IN_SELECTED ? "selected" : "logged in";
}

static void
put_commands(void)
{
	(void)puts("## Commands\n\n| command | document | state | with UID |\n|---|---|---|---|");
	for (size_t i = 0; i < imap_command_count; i++) {
		const struct imap_command *c = imap_commands[i];
		(void)printf("| %s | ", c->name);
		put_link(c->rfc);
		(void)printf(" | %s | %s |\n", place_of(c), c->effect & HAS_UID_FORM ? "yes" : "");
	}
}

static void
put_extensions(void)
{
	(void)puts(
		"\n## Extensions\n\nEach is in the CAPABILITY line and nowhere else; what shows it "
		"lies under test/.\n\n"
		"| word | document | told | where (src/access/imap/) | shown by |\n"
		"|---|---|---|---|---|");
	for (size_t i = 0; i < imap_capability_count; i++) {
		const struct capability *c = &imap_capabilities[i];
		(void)printf("| %s | ", c->word);
		put_link(c->rfc);
		(void)printf(" | %s | %s | %s |\n",
		             c->when == ALWAYS         ? "always"
		             : c->when == BEFORE_LOGIN ? "before login"
		                                       : "after login",
		             c->where, c->shown);
	}
}

int
conformance_imap(void)
{
	(void)puts(
		"# IMAP: what is obeyed\n\nPrinted by scripts/conformance-imap from the cards of the "
		"commands, the rows of src/access/imap/capability.c,\nand the links that stand "
		"beside the code.\n");
	put_commands();
	put_extensions();
	return 0;
}

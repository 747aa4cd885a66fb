/*
 * sasl-check -- whether what back ends store is what the mechanisms that are offered can be checked with (sasl-settings.h)
 */
#include <string.h>
#include <strings.h>

#include "role/sasl-settings.h"

/* What a mechanism is checked with, as it is stored, and how such a line is made. */
static const struct {
	const char *mechanism, *stored, *make;
} wanted[] = {
	{ "SCRAM-SHA-256", "{SCRAM-SHA-256}", "SCRAM-SHA-256" },
	{ "SCRAM-SHA-1", "{SCRAM-SHA-1}", "SCRAM-SHA-1" },
	{ "CRAM-MD5", "{CRAM-MD5} or the password itself", "CRAM-MD5" },
	{ "DIGEST-MD5", "{DIGEST-MD5} or the password itself", "DIGEST-MD5 -u USER" },
	{ "NTLM", "the password itself", "PLAIN" },
};

static void
tell_of_users(const struct credential_backend *b, const char *name, size_t which,
              const struct passwdfile *users, struct buffer *errors, struct buffer *warnings)
{
	struct arena *scratch = arena_open(NULL);
	const char   *who = "";
	size_t        all;
	size_t without = passwdfile_without(users, wanted[which].mechanism, scratch, &who, &all);

	if (without > 0 && without == all)
		buffer_printf(
			errors,
			"sasl_mechanisms: nobody of %s could log in by %s: no line there has %s; "
			"make some with doveadm pw -s %s, or take it out\n",
			b->argument, name, wanted[which].stored, wanted[which].make);
	else if (without > 0)
		buffer_printf(
			warnings,
			"sasl_mechanisms: %zu of the users of %s, %s is one, have no verifier of %s and cannot log in by it: that would be %s; "
			"many programs choose it where it is offered\n",
			without, b->argument, who, name, wanted[which].stored);
	arena_close(&scratch);
}

/* What every client is offered is to let every user in.  Of a back end that is asked as users come (NULL) nobody can tell
   before; those that compare only are refused where mechanisms are checked (sasl-settings.c).  Our own accounts have
   verifiers of SCRAM from their passwords. */
void
sasl_check_users(const struct setting_list *mechanisms, const struct credential_backend *b,
                 const struct passwdfile *users, struct buffer *errors, struct buffer *warnings)
{
	for (size_t i = 0; i < mechanisms->count; i++) {
		const char *name = mechanisms->item[i];
		size_t      which = 0;

		while (which < COUNT(wanted) && strncasecmp(name, wanted[which].mechanism,
		                                            strlen(wanted[which].mechanism)) != 0)
			which++;
		if (which == COUNT(wanted))
			continue;
		if (users != NULL)
			tell_of_users(b, name, which, users, errors, warnings);
		else if (b->kind != CREDENTIAL_DIRECTORY)
			buffer_printf(
				warnings,
				"sasl_mechanisms: users of %s can log in by %s where it stores %s; who "
				"has another hash there cannot, and many programs choose it where it is offered\n",
				b->word, name, wanted[which].stored);
		else if (strncmp(wanted[which].mechanism, "SCRAM", 5) != 0)
			buffer_printf(
				warnings,
				"sasl_mechanisms: accounts of the directory can log in by %s where their password is kept: mansio account "
				"set ADDRESS password --keep-plain-secret; many programs choose it where it is offered\n",
				name);
	}
}

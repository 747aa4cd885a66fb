/* account -- the people who have a mailbox */

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "command/client.h"
#include "command/command.h"
#include "command/keepers.h"
#include "command/prompt.h"
#include "command/protection.h"
#include "role/wire.h"

static int run_account(struct call *);

const struct command command_account = {
	.name = "account",
	.forms =
		"account add ADDRESS [--password-file FILE] [--keep-plain-secret]\n"
		"account list [DOMAIN] [--json]\n"
		"account show ADDRESS [--json]\n"
		"account set ADDRESS password [--password-file FILE] [--kick] [--keep-plain-secret]\n"
		"account set ADDRESS enabled yes|no\n"
		"account set ADDRESS system-user NAME|none\n"
		"account set ADDRESS owner UID[:GID]\n"
		"account set ADDRESS --quota-storage SIZE|none|default --quota-messages N|none|default\n"
		"account set ADDRESS --mail-location LOCATION|log|default\n"
		"account set ADDRESS --networks LIST|all --protocols LIST|all\n"
		"account suspend ADDRESS [--until WHEN] [--reason WORDS]\n"
		"account resume ADDRESS\n"
		"account app-password add ADDRESS NAME [--protocols LIST] [--expires WHEN]\n"
		"account app-password list ADDRESS [--json]\n"
		"account app-password revoke ADDRESS NAME|ID\n"
		"account one-time set ADDRESS md5|sha1 SEED COUNT\n"
		"account one-time delete ADDRESS\n"
		"account totp enable|confirm|test|disable ADDRESS\n"
		"account test ADDRESS [--password-file FILE]\n"
		"account delete ADDRESS",
	.about = "Adds, shows, changes and removes accounts: an address, a password and a mailbox.",
	.more = "The password is asked for at the terminal, twice and unseen. It is read from FILE instead if one is "
		"given, and from the standard input where that is not a terminal: one line. It is never an argument, "
		"for everybody on the machine can see those.\n"
		"\n"
		"enabled no keeps the mail coming and nobody from reading it; who is reading is sent away. With --kick "
		"a new password sends them away too, so that they come back with it. test says whether a login with this password would succeed. delete removes the mailbox too.\n"
		"\n"
		"system-user makes the account an operating-system user's: mail is delivered under that user's uid to the "
		"place home_mailbox or mail_spool_directory says, and read from there.\n"
		"\n"
		"owner gives mailboxes that belong to a uid (mail_uid, virtual_uid_maps, what a back end says) to another, by names or numbers; their files "
		"are given by chown -R. Readers begin anew: the letters and their flags are there, under new numbers (UIDVALIDITY); app passwords and recovery codes are made anew.\n"
		"\n"
		"--quota-storage 1G and --quota-messages 10000 bound what the account may hold; none is no limit, default what the domain "
		"or main.cf says. --mail-location says where its mailboxes lie, as maildir:/var/vmail/%d/%n or mbox:/var/vmail/%d/%n, in a "
		"directory of mail_location or mail_location_directories; log is the letter log. An account that has mail stays where it is, and is told how to move.\n"
		"\n"
		"app-password add makes a password of its own for one device or program and shows it once. It is good for the protocols "
		"that are said (imap, pop3, smtp, submission, sieve, other; all by default; smtp is for submission too), until --expires "
		"(90d, 2026-12-31). list says when, from where and by what protocol each was used last; revoke ends the sessions of the account too.\n"
		"\n"
		"totp enable makes the secret of a second factor, and shows it as text, otpauth: address and picture; totp confirm, with a code of the "
		"phone, turns it on and shows ten recovery codes. From then on mail programs must log in with app passwords: the password "
		"itself is refused, by every mechanism. totp test says whether a code is right, and uses it up. Codes are read from the terminal or the standard input.\n"
		"\n"
		"Of suspend, resume, set enabled, --quota-storage, --quota-messages, --networks and --protocols, app-password, totp, show and delete ADDRESS may be the name of an "
		"operating-system user, who logs in by PAM; show and list have those of whom something was said, and delete forgets it and leaves the user and the mail alone. "
		"It holds for name and uid together: when somebody else has one of the two, or the user was away meanwhile, app passwords open nothing and what keeps him out goes on, until "
		"account set NAME system-user NAME says who it is now, or delete. ADDRESS may also be that of a user of a back end of auth_backends who has never logged in; where it "
		"does not answer, that is said, and not that there is no such account.\n"
		"\n"
		"suspend keeps mail coming while nobody logs in or sends, until WHEN or resume. --networks (192.0.2.0/24,2001:db8::/32) "
		"and --protocols bound from where and for what the account's logins are good; to others the right password looks like a wrong one.\n"
		"\n"
		"one-time set begins a chain of one-time passwords (rfc2289) for the mechanism OTP: COUNT of them, from a pass phrase that is asked for "
		"and not kept; the user makes each with otp-md5 or otp-sha1.\n"
		"\n"
		"--keep-plain-secret keeps the password itself beside its hashes, for clients that know only POP3's APOP "
		"(pop3_apop), CRAM-MD5, DIGEST-MD5 or NTLM. Whoever reads the directory's file reads it then.",
	.run = run_account,
};

/* account set ADDRESS and two options with their values; the options of a password are taken out before. */
enum { ARGUMENTS_MOST = 9 };

/* Those who write it on the command line have shown it to everybody already. */
static bool
has_bare_password(const struct call *c)
{
	for (int i = 1; i < c->argc; i++)
		if (strcmp(c->argv[i], "--password") == 0 ||
		    strncmp(c->argv[i], "--password=", 11) == 0)
			return true;
	return false;
}

static bool
wants_password(const struct call *c)
{
	if (c->argc < 3)
		return false;
	return strcmp(c->argv[1], "add") == 0 || strcmp(c->argv[1], "test") == 0 ||
	       (strcmp(c->argv[1], "set") == 0 && c->argc > 3 &&
	        strcmp(c->argv[3], "password") == 0);
}

static bool
has_too_much(const struct call *c)
{
	return wants_password(c) && c->argc > (strcmp(c->argv[1], "set") == 0 ? 4 : 3);
}

/* Where it lies from now on, or still; with `try`, whether it could. */
static int
locate(struct call *c, const char *location, const char *try)
{
	struct people people = { 0 };
	struct buffer said = { 0 };
	int           status = client_people(c, c->argv[2], &people);

	for (size_t i = 0; status == COMMAND_DONE && i < people.count; i++) {
		char        id[24];
		const char *ask[] = { "locate", id, people.one[i].user, location, try };
		(void)snprintf(id, sizeof id, "%llu", (unsigned long long)people.one[i].id);
		status = keepers_ask(c, try != NULL ? 5 : 4, ask, &said);
		(void)fwrite(said.at, 1, said.len, stdout);
		buffer_reset(&said);
	}
	buffer_free(&said);
	people_close(&people);
	return status;
}

/* Each place that is said among the words. */
static int
locate_said(struct call *c, const char *try)
{
	int status = COMMAND_DONE;

	for (int i = 3; status == COMMAND_DONE && i + 1 < c->argc; i++)
		if (strcmp(c->argv[i], "--mail-location") == 0)
			status = locate(c, c->argv[i + 1], try);
	return status;
}

/* A place that cannot be had is not kept: the clerk says first whether it may be, then the account's keeper whether
   it can. */
static int
try_places(struct call *c)
{
	const char *argv[ARGUMENTS_MOST + 2];
	bool        any = false;
	int         status;

	for (int i = 0; i < c->argc; i++) {
		any |= strcmp(c->argv[i], "--mail-location") == 0;
		argv[i] = c->argv[i];
	}
	if (!any || strcmp(c->argv[1], "set") != 0)
		return COMMAND_DONE;
	argv[c->argc] = "--try";
	status = command_ask(c, "clerk", c->argc + 1, argv, BYTES(""));
	return status == COMMAND_DONE ? locate_said(c, "try") : status;
}

/* The clerk, who may not look into /etc, hears the number.  False: said. */
static bool
take_system_user(const char **name, char number[static 16])
{
	const struct passwd *who;

	if (strcmp(*name, "none") == 0) {
		*name = "0";
		return true;
	}
	if ((who = getpwnam(*name)) == NULL || who->pw_uid == 0) {
		(void)fprintf(stderr, "mansio: %s: %s\n", *name,
		              who == NULL ? "there is no such operating-system user"
		                          : "root's mail goes to somebody else, by an alias");
		return false;
	}
	(void)snprintf(number, 16, "%u", who->pw_uid);
	*name = number;
	return true;
}

/* What the clerk says; where the letters lie, if otherwise than the settings say, their keeper knows. */
static int
show(struct call *c)
{
	const char     *argv[ARGUMENTS_MOST + 2];
	struct word_ask ask = { argv, (uint32_t)c->argc, { NULL, 0 } };
	struct people   people = { 0 };
	struct buffer   said = { 0 }, place = { 0 };
	const char     *who = c->argv[strncmp(c->argv[2], "--", 2) == 0 && c->argc > 3 ? 3 : 2];
	int             status;

	memcpy(argv, c->argv, (size_t)c->argc * sizeof *argv);
	status = command_talk(c, "clerk", &ask, -1, &said);
	if (status == COMMAND_DONE && strchr(who, '@') != NULL &&
	    client_people(c, who, &people) == COMMAND_DONE && people.count == 1 &&
	    client_place(c, &people.one[0], &place) && place.len > 0) {
		buffer_add_char(&place, '\0');
		argv[ask.argc++] = "--place";
		argv[ask.argc++] = place.at;
		buffer_reset(&said);
		status = command_talk(c, "clerk", &ask, -1, &said);
	}
	(void)fwrite(said.at, 1, said.len, stdout);
	buffer_free(&said);
	buffer_free(&place);
	people_close(&people);
	return status;
}

static int
run_account(struct call *c)
{
	char          uid[16];
	struct buffer password = { 0 };
	const char   *file = NULL;
	const char   *argv[ARGUMENTS_MOST + 2];
	int           argc;
	bool          kick, plain;
	int           status;

	if (c->argc < 2)
		return command_wrong(c, "account wants a word behind it");
	if (protection_words(c))
		return protection_run(c);
	if (has_bare_password(c))
		return command_wrong(
			c,
			"a password is no argument, ps would show it to everybody; "
			"write it to a file for --password-file, to the standard input, or at the prompt");
	(void)command_option(c, "--password-file", &file);
	kick = command_option(c, "--kick", NULL);
	if (kick && (c->argc < 4 || strcmp(c->argv[3], "password") != 0))
		return command_wrong(c, "--kick belongs to account set ADDRESS password");
	plain = command_option(c, "--keep-plain-secret", NULL);
	if (plain && (!wants_password(c) || strcmp(c->argv[1], "test") == 0))
		return command_wrong(c, "--keep-plain-secret belongs to a new password");
	if (has_too_much(c))
		return command_wrong(
			c, "\"%s\" is too much; a password is no argument, ps would show it",
			c->argv[c->argc - 1]);
	if (file != NULL && !wants_password(c))
		return command_wrong(c, "account %s takes no password", c->argv[1]);
	if (c->argc > ARGUMENTS_MOST)
		return command_wrong(c, "\"%s\" is too much", c->argv[ARGUMENTS_MOST]);
	if (strcmp(c->argv[1], "show") == 0 && c->argc > 2)
		return show(c);
	if (wants_password(c) && !prompt_password(file, "Password", &password))
		return COMMAND_FAILED;
	argc = c->argc;
	memcpy(argv, c->argv, (size_t)argc * sizeof *argv);
	if (argc == 5 && strcmp(argv[1], "set") == 0 && strcmp(argv[3], "system-user") == 0) {
		/* Of an operating-system user: whom he is now. */
		if (strchr(argv[2], '@') == NULL)
			argv[argc++] = argv[4];
		if (!take_system_user(&argv[4], uid))
			return COMMAND_FAILED;
	}
	if ((status = try_places(c)) != COMMAND_DONE)
		return status;
	if (kick)
		argv[argc++] = "--kick";
	if (plain)
		argv[argc++] = "--keep-plain-secret";
	status = command_ask(c, "clerk", argc, argv, buffer_bytes(&password));
	prompt_forget(&password);
	return status == COMMAND_DONE ? locate_said(c, NULL) : status;
}

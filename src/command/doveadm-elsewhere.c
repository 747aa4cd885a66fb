#include "command/doveadm-elsewhere.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"

/* Each command of Dovecot 2.3 that is no row of doveadm.c; without a verb it is of all of them. */
static const struct {
	const char *name, *verb, *text;
} rows[] = {
	{ "acl", "debug", "use: doveadm acl rights, and doveadm acl get" },
	{ "altmove", NULL,
	  "letters lie in one log, which has no second place; mansio mailbox convert moves a whole account" },
	{ "auth", "cache",
	  "there is no cache to flush: a password that is changed counts at once, and one that another server keeps after auth_cache_time" },
	{ "auth", "login", "use: doveadm auth test USER, and doveadm user USER" },
	{ "deduplicate", NULL,
	  "use: mansio message search and mansio message expunge; mansio message import leaves out what is there already" },
	{ "dict", NULL,
	  "there are no dictionaries; use: mansio postmap -q KEY TABLE for lookup tables" },
	{ "director", NULL,
	  "there is no director: an account is served by the keeper that has it" },
	{ "dsync-server", NULL,
	  "dsync is not spoken; use: mansio message import, or mbsync and imapsync over IMAP" },
	{ "dump", NULL, "use: mansio store check ACCOUNT; docs/format.md says what lies where" },
	{ "exec", NULL, "use: the commands of mansio themselves" },
	{ "fs", NULL, "there are no file system drivers to look through" },
	{ "fts", "expand", "there are no virtual mailboxes; use: mansio message search" },
	{ "fts", "lookup", "use: mansio message search ACCOUNT text WORD" },
	{ "fts", "tokenize", "the text index keeps texts, not tokens" },
	{ "indexer", NULL, "use: mansio mailbox index ACCOUNT" },
	{ "instance", NULL, "an instance is a main.cf; use: mansio -c MAIN_CF status" },
	{ "mailbox", "cache",
	  "there is no cache file to decide about: what is asked of a letter is made once when it arrives" },
	{ "mailbox", "metadata", "use: doveadm mailbox metadata get, set, unset or list" },
	{ "mailbox", "update",
	  "ids and uids of a mailbox stay for ever; mansio mailbox convert keeps them, too" },
	{ "oldstats", NULL, "use: mansio status" },
	{ "penalty", NULL, "use: mansio auth failures, mansio auth bans" },
	{ "process", NULL, "use: mansio status" },
	{ "proxy", NULL,
	  "logins are served here, none is passed on; use: mansio who, mansio kick" },
	{ "rebuild", NULL, "attachments lie within their letters" },
	{ "replicator", NULL, "there is no replication" },
	{ "service", NULL, "use: mansio status, mansio stop" },
	{ "sieve", NULL, "no Sieve scripts are run here" },
	{ "sis", NULL, "a letter to many is kept once as it is" },
	{ "stats", NULL, "use: mansio status" },
	{ "zlibconnect", NULL,
	  "use: openssl s_client -connect HOST:993, and COMPRESS DEFLATE behind the login" },
};

const char *
doveadm_elsewhere(const char *name, const char *verb)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcmp(rows[i].name, name) == 0 &&
		    (rows[i].verb == NULL || strcmp(rows[i].verb, verb) == 0))
			return rows[i].text;
	return NULL;
}

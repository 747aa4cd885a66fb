/*
 * import-users, import-aliases -- accounts and aliases from the files of other servers
 *
 * The file is read and understood here, passwords are hashed here, by as many threads as there are
 * processors; the clerk keeps all of it in one transaction.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/pack.h"
#include "command/command.h"
#include "command/sheet.h"
#include "directory/password.h"
#include "message/charset.h"
#include "role/wire.h"

static int run_users(struct call *), run_aliases(struct call *);

const struct command command_import_users = {
	.name = "import-users",
	.forms =
		"import-users FILE [--domain DOMAIN] [--with-domains] [--literal] [--skip] [--dry-run]",
	.about = "Makes accounts from a CSV file or a passwd-file of Dovecot, all of them or none.",
	.more = "A CSV file begins with a line of names of columns: address, password or hash, quota, aliases; others are not kept, "
		"and that is said. Commas, semicolons and tabs part columns; UTF-8 (with or without a mark) and the "
		"Chinese of Excel (GB18030) are understood. Several aliases stand between blanks. A passwd-file keeps its hashes, "
		"with every scheme in braces that logins know, and userdb_quota_rule=*:storage=. Passwords that are written "
		"out are hashed. What looks like a hash ({SHA512-CRYPT}..., $2y$...) in the column password is wrong: it belongs in the "
		"column hash; --literal takes it as the password itself.\n"
		"\n"
		"A name without a domain is completed with --domain. --with-domains adds domains that are not there. What is wrong is "
		"said as FILE:LINE, and then nothing is imported; with --skip, all the rest is. --dry-run says what would "
		"happen and changes nothing.",
	.run = run_users,
};

const struct command command_import_aliases = {
	.name = "import-aliases",
	.forms = "import-aliases FILE [--domain DOMAIN] [--with-domains] [--skip] [--dry-run]",
	.about =
		"Makes aliases from a file like /etc/aliases or a virtual alias file, all of them or none.",
	.more = "A line is \"name: target, target\" or \"address target, target\"; one that begins with a blank goes on; # is a remark. "
		"@domain becomes the catch-all of that domain, which leads to one address. Targets that are commands, files or :include: lists "
		"belong in alias_maps, and are refused. The options are those of import-users, but for --literal.",
	.run = run_aliases,
};

/* ---- passwords, by all processors --------------------------------------------------- */

struct hashing {
	struct sheet   *sheet;
	size_t          next;
	pthread_mutex_t turn;
};

static void *
hash_some(void *ctx)
{
	struct hashing *h = ctx;

	for (;;) {
		struct sheet_row *r = NULL;
		(void)pthread_mutex_lock(&h->turn);
		if (h->next < h->sheet->count)
			r = &h->sheet->row[h->next++];
		(void)pthread_mutex_unlock(&h->turn);
		if (r == NULL)
			return NULL;
		if (r->password.len > 0)
			r->hashed = password_make(r->password, &r->record);
	}
}

static void
hash_all(struct sheet *s)
{
	struct hashing h = { .sheet = s };
	pthread_t      thread[16];
	long           n = sysconf(_SC_NPROCESSORS_ONLN);
	int            began = 0;

	(void)pthread_mutex_init(&h.turn, NULL);
	while (began < (n < 16 ? n - 1 : 15) &&
	       pthread_create(&thread[began], NULL, hash_some, &h) == 0)
		began++;
	(void)hash_some(&h);
	for (int i = 0; i < began; i++)
		(void)pthread_join(thread[i], NULL);
	(void)pthread_mutex_destroy(&h.turn);
}

/* ---- rows for the clerk --------------------------------------------------------------- */

static void
pack_head(struct buffer *b, uint8_t kind, uint32_t line, struct bytes address)
{
	pack_u8(b, kind);
	pack_u32(b, line);
	pack_bytes(b, address);
}

/* False after saying why. */
static bool
pack_row(struct buffer *b, const struct sheet_row *r, const char *file)
{
	if (r->is_account && r->password.len > 0 && !r->hashed) {
		fprintf(stderr,
		        "%s:%u: the password of %.*s cannot be used; right would be 1 to %d bytes\n",
		        file, r->line, (int)r->address.len, r->address.at, PASSWORD_MOST);
		return false;
	}
	if (r->is_account) {
		pack_head(b, 0, r->line, r->address);
		pack_bytes(b, r->hashed ? bytes_of(r->record.hash) : r->hash);
		pack_u32(b, r->hashed ? r->record.scram_iterations : 0);
		pack_string(b, r->hashed ? r->record.scram_salt : "");
		pack_string(b, r->hashed ? r->record.scram_stored : "");
		pack_string(b, r->hashed ? r->record.scram_server : "");
		pack_string(b, r->hashed ? r->record.scram_sha1 : "");
		pack_bytes(b, r->quota);
		for (size_t i = 0; i < r->targets; i++) {
			pack_head(b, 1, r->line, r->target[i]);
			pack_u32(b, 1);
			pack_bytes(b, r->address);
		}
		return true;
	}
	pack_head(b, 1, r->line, r->address);
	pack_u32(b, (uint32_t)r->targets);
	for (size_t i = 0; i < r->targets; i++)
		pack_bytes(b, r->target[i]);
	return true;
}

static int
import(struct call *c, bool users)
{
	const char   *domain = NULL, *argv[6] = { "import", "rows" };
	bool          skip, dry, domains, literal, good;
	struct buffer file = { 0 }, text = { 0 }, errors = { 0 }, rows = { 0 };
	struct sheet *s;
	int           status = COMMAND_FAILED, argc = 3;

	(void)command_option(c, "--domain", &domain);
	skip = command_option(c, "--skip", NULL);
	dry = command_option(c, "--dry-run", NULL);
	domains = command_option(c, "--with-domains", NULL);
	literal = users && command_option(c, "--literal", NULL);
	if (c->argc != 2)
		return command_wrong(c, "%s wants one file", c->argv[0]);
	if (!command_read(c->argv[1], &file))
		return COMMAND_FAILED;
	charset_guess_to_utf8(buffer_bytes(&file), &text);
	s = users ? sheet_users(buffer_bytes(&text), c->argv[1], domain, literal, &errors)
	          : sheet_aliases(buffer_bytes(&text), c->argv[1], domain, &errors);
	hash_all(s);
	good = s->wrong == 0;
	for (size_t i = 0; i < s->count; i++)
		good = pack_row(&rows, &s->row[i], c->argv[1]) && good;
	command_print(buffer_bytes(&errors), stderr);
	argv[2] = c->argv[1];
	if (skip)
		argv[argc++] = "skip";
	if (dry || (!good && !skip))
		argv[argc++] =
			dry ? "dry" : "faulty"; /* the clerk's complaints are worth hearing too */
	if (domains)
		argv[argc++] = "domains";
	if (rows.len > (16u << 20) - 4096)
		fprintf(stderr, "mansio: %s is too large for one import (16 MiB); part it\n",
		        c->argv[1]);
	else
		status = command_ask(c, "clerk", argc, argv, buffer_bytes(&rows));
	if (!good && !skip && status == COMMAND_DONE)
		status = COMMAND_FAILED;
	sheet_close(&s);
	for (struct buffer *b[] = { &file, &text, &rows }, **at = b; at < b + 3; at++) {
		if ((*at)->len > 0)
			explicit_bzero((*at)->at, (*at)->len);
		buffer_free(*at);
	}
	buffer_free(&errors);
	return status;
}

static int
run_users(struct call *c)
{
	return import(c, true);
}

static int
run_aliases(struct call *c)
{
	return import(c, false);
}

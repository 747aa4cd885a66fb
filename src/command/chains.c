#include "command/chains.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/map.h"
#include "channel/tls.h"
#include "command/command.h"
#include "role/listeners.h"
#include "role/tls-settings.h"
#include "role/transports.h"

enum { FILE_MOST = 1 << 20 };

struct looking {
	struct map   *seen; /* files and keys of a chain: it was looked at */
	struct buffer errors, warnings;
};

/* 0 or errno. */
static int
read_whole(const char *path, struct buffer *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), why;

	if (fd < 0)
		return errno;
	why = file_read(fd, FILE_MOST, out);
	(void)close(fd);
	return why == EFBIG ? 0 : why; /* what is in front of that counts */
}

static bool
sign(void *ctx, struct bytes key_id, enum tls_sign_kind kind, int padding, struct bytes in,
     struct buffer *out)
{
	return tls_keys_sign(ctx, key_id, kind, padding, in, out);
}

/* What is said of a file; one that only root may read is looked at by root. */
static bool
cannot_read(struct buffer *out, const char *what, const char *path, int why)
{
	if (why == EACCES && geteuid() != 0)
		return false;
	buffer_printf(out, "%s %s: %s\n", what, path, strerror(why));
	return true;
}

/* Every file of these, in one text.  False: not all could be read; *said of it what is to be said. */
static bool
read_files(const char *what, const char *files, struct buffer *text, struct buffer *said)
{
	struct bytes rest = bytes_of(files), file;
	char         path[4096];
	int          why;

	while (bytes_split(&rest, '\t', &file)) {
		if (!bytes_string(file, path, sizeof path))
			continue;
		if ((why = read_whole(path, text)) != 0) {
			(void)cannot_read(said, what, path, why);
			return false;
		}
	}
	return true;
}

/* The name of the files as somebody may read it. */
static const char *
first_of(struct arena *a, const char *files)
{
	return arena_copy(a, bytes_cut(bytes_of(files), 0, strcspn(files, "\t")));
}

/* As a server does it: each chain that the files show has its key. */
static void
judge(const struct tls_chain *c, struct bytes pem, struct bytes keys_pem, struct buffer *said)
{
	struct arena     *a = arena_open(NULL);
	const char       *file = first_of(a, c->files), *key = first_of(a, c->keys);
	struct tls_keys  *keys = tls_keys_open();
	struct tls_signer signer = { sign, keys };
	struct buffer     shown = { 0 }, why = { 0 };
	struct bytes      rest, chain;
	char              id[65];
	int               count = 0;

	tls_public_part(pem, &shown);
	rest = buffer_bytes(&shown);
	if (!tls_keys_add(keys, keys_pem, &why))
		buffer_printf(said, "private key %s: there is none in it that can be used\n", key);
	else
		for (bool good = true; good && tls_next_chain(&rest, &chain); count++) {
			good = tls_key_answers(chain, &signer);
			if (!good)
				buffer_printf(
					said,
					tls_key_id(chain, id)
						? "certificate %s: the private key in %s is that of "
						  "another\n"
						: "certificate %s: there is none in it that can be "
						  "read\n",
					file, key);
		}
	if (why.len == 0 && count == 0)
		buffer_printf(said, "certificate %s: there is none in it\n", file);
	tls_keys_close(&keys);
	buffer_free(&shown);
	buffer_free(&why);
	arena_close(&a);
}

static void
look_at(struct looking *l, const struct tls_chain *c)
{
	struct buffer pem = { 0 }, keys = { 0 }, name = { 0 }, said = { 0 };

	buffer_printf(&name, "%s\n%s", c->files, c->keys);
	if (map_put(l->seen, buffer_bytes(&name), l) == NULL &&
	    read_files("certificate", c->files, &pem, &said) &&
	    read_files("private key", c->keys, &keys, &said))
		judge(c, buffer_bytes(&pem), buffer_bytes(&keys), &said);
	if (said.len > 0 && c->use == CHAIN_NAME)
		buffer_printf(&l->errors, "tls_server_sni_maps, %s: ", c->name);
	buffer_add(c->use == CHAIN_MORE ? &l->warnings : &l->errors, buffer_bytes(&said));
	if (pem.len > 0)
		explicit_bzero(pem.at, pem.len);
	if (keys.len > 0)
		explicit_bzero(keys.at, keys.len);
	buffer_free(&pem);
	buffer_free(&keys);
	buffer_free(&name);
	buffer_free(&said);
}

static void
look_at_all(struct looking *l, const struct tls_chains *all)
{
	for (size_t i = 0; i < all->count; i++)
		look_at(l, &all->chain[i]);
}

static void
look_at_listeners(struct looking *l, struct settings *s, struct arena *a)
{
	struct listeners  all;
	struct tls_chains chains;
	struct tls_rows   r;
	bool              good = true;

	listeners_read(s, &all);
	for (size_t i = 0; good && i < all.count; i++) {
		good = settings_fill(s, &tls_setting_table, all.one[i].name, &r, &l->errors) &&
		       tls_chains_of(s, &r, a, &chains, &l->errors);
		if (good)
			look_at_all(l, &chains);
	}
}

static void
look_at_transports(struct looking *l, struct settings *s, struct arena *a)
{
	struct sender_settings r;
	struct tls_chains      chains;
	const char            *transport;

	for (size_t place = 0; (transport = transports_name(s, false, &place)) != NULL;)
		if (transport_sends_by(s, transport, &r, &l->errors)) {
			tls_client_chains(&r, a, &chains);
			look_at_all(l, &chains);
		}
}

bool
chains_check(struct settings *s, bool *warned)
{
	struct looking l = { .seen = map_open() };
	struct arena  *a = arena_open(NULL);
	bool           good;

	look_at_listeners(&l, s, a);
	look_at_transports(&l, s, a);
	good = l.errors.len == 0;
	*warned = *warned || l.warnings.len > 0;
	command_print(buffer_bytes(&l.errors), stderr);
	command_print(buffer_bytes(&l.warnings), stderr);
	map_close(&l.seen);
	buffer_free(&l.errors);
	buffer_free(&l.warnings);
	arena_close(&a);
	return good;
}

/* mailbox-rights -- `mailbox acl` and `mailbox metadata`: who may do what, and notes (rfc4314, rfc5464) */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "command/mailbox.h"
#include "role/wire.h"

static void
gather(struct client *c, struct buffer *out)
{
	struct client_value v;

	buffer_reset(out);
	client_next(c, &v);
	client_gather(c, &v, out, 1 << 20);
}

/* ---- acl ---- */

/* clang-format off */
static const struct { char letter; const char *word; } words[] = {
	{ 'l', "lookup" }, { 'r', "read" }, { 'w', "write" }, { 's', "write-seen" }, { 't', "write-deleted" },
	{ 'i', "insert" }, { 'p', "post" }, { 'e', "expunge" }, { 'k', "create" }, { 'x', "delete" }, { 'a', "admin" },
};
/* clang-format on */

/* As doveadm has them: user=jill@example.com, group=sales@example.com, owner; anyone and authenticated; "-" before. */
static void
say_identifier(const char *owner, struct bytes who, struct buffer *out)
{
	if (bytes_starts(who, BYTES("-"))) {
		buffer_add_char(out, '-');
		who = bytes_cut(who, 1, SIZE_MAX);
	}
	if (bytes_equal(who, bytes_of(owner)))
		buffer_add_string(out, "owner");
	else if (bytes_is(who, "anyone") || bytes_is(who, "authenticated"))
		buffer_add(out, who);
	else if (bytes_starts(who, BYTES("$")))
		buffer_printf(out, "group=%.*s", (int)who.len - 1, who.at + 1);
	else
		buffer_printf(out, "user=%.*s", (int)who.len, who.at);
}

static void
read_identifier(const char *text, struct buffer *out)
{
	bool minus = text[0] == '-';

	if (minus)
		buffer_add_char(out, *text++);
	if (strncmp(text, "group=", 6) == 0)
		buffer_printf(out, "$%s", text + 6);
	else
		buffer_add_string(out, strncmp(text, "user=", 5) == 0 ? text + 5 : text);
}

static void
say_words(struct bytes rights, struct buffer *out)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (bytes_find(rights, words[i].letter) >= 0) {
			if (out->len > 0)
				buffer_add_char(out, ' ');
			buffer_add_string(out, words[i].word);
		}
}

static bool
read_word(const char *word, struct buffer *out)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(words[i].word, word) == 0) {
			buffer_add_char(out, words[i].letter);
			return true;
		}
	(void)fprintf(
		stderr,
		"mansio: \"%s\" is not a right; right would be lookup, read, write, write-seen, "
		"write-deleted, insert, post, expunge, create, delete, admin\n",
		word);
	return false;
}

/* What an owner may do without any list: doveadm does not tell of it. */
static bool
goes_without_saying(const struct client *c, struct bytes who, struct bytes rights)
{
	bool all = bytes_equal(who, bytes_of(client_user(c)));

	for (size_t i = 0; i < COUNT(words); i++)
		all = all && bytes_find(rights, words[i].letter) >= 0;
	return all;
}

/* myrights-data = "MYRIGHTS" SP mailbox SP rights   rfc4314:4 */
static void
hear_own_rights(void *ctx, struct client *c, const struct client_answer *a)
{
	struct mailbox_work *w = ctx;
	struct client_value  v;
	struct buffer        rights = { 0 }, said = { 0 };

	if (!bytes_is(a->word, "MYRIGHTS"))
		return;
	client_next(c, &v);
	gather(c, &rights);
	say_words(buffer_bytes(&rights), &said);
	output_value(w->out, buffer_bytes(&said));
	buffer_free(&rights);
	buffer_free(&said);
}

/* acl-data = "ACL" SP mailbox *(SP identifier SP rights)   rfc4314:4 */
static void
hear_acl(void *ctx, struct client *c, const struct client_answer *a)
{
	struct mailbox_work *w = ctx;
	struct client_value  v;
	struct buffer        who = { 0 }, rights = { 0 }, said = { 0 };

	if (!bytes_is(a->word, "ACL"))
		return;
	client_next(c, &v);
	for (client_next(c, &v); v.kind != VALUE_END; client_next(c, &v)) {
		buffer_reset(&who);
		client_gather(c, &v, &who, 1024);
		gather(c, &rights);
		if (w->rights_as_words == NULL) {
			output_value(w->out, buffer_bytes(&who));
			output_value(w->out, buffer_bytes(&rights));
			continue;
		}
		if (goes_without_saying(c, buffer_bytes(&who), buffer_bytes(&rights)))
			continue;
		buffer_reset(&said);
		say_identifier(client_user(c), buffer_bytes(&who), &said);
		output_value(w->out, buffer_bytes(&said));
		output_value(w->out, BYTES(""));
		buffer_reset(&said);
		say_words(buffer_bytes(&rights), &said);
		output_value(w->out, buffer_bytes(&said));
	}
	buffer_free(&who);
	buffer_free(&rights);
	buffer_free(&said);
}

/* "SETACL mailbox who rights", "DELETEACL mailbox who", "GETACL mailbox" */
static int
run_acl(struct client *c, struct mailbox_work *w, const char *who, const char *rights)
{
	const char *command = who == NULL ? "GETACL " : rights == NULL ? "DELETEACL " : "SETACL ";

	buffer_add_string(client_begin(c), command);
	client_put_mailbox(c, w->argv[0]);
	for (int i = 0; i < 2 && who != NULL; i++, who = rights) {
		buffer_add_char(client_out(c), ' ');
		client_put_string(c, bytes_of(who));
	}
	return mailbox_refused(c, w->argv[0], client_run(c, hear_acl, w));
}

/* MAILBOX [ID [RIGHT ...]] */
static int
acl_by_words(struct client *c, struct mailbox_work *w)
{
	const char   *verb = w->rights_as_words;
	struct buffer who = { 0 }, rights = { 0 };
	int           status = COMMAND_DONE;

	if (strcmp(verb, "rights") == 0) {
		buffer_add_string(client_begin(c), "MYRIGHTS ");
		client_put_mailbox(c, w->argv[0]);
		return mailbox_refused(c, w->argv[0], client_run(c, hear_own_rights, w));
	}
	if (w->argc == 1)
		return run_acl(c, w, NULL, NULL);
	read_identifier(w->argv[1], &who);
	buffer_add_char(&who, '\0');
	if (verb[0] == 'a' || strcmp(verb, "remove") == 0)
		buffer_add_char(&rights, verb[0] == 'a' ? '+' : '-');
	for (int i = 2; i < w->argc && status == COMMAND_DONE; i++)
		status = read_word(w->argv[i], &rights) ? COMMAND_DONE : MAILBOX_NO_SUCH_RIGHT;
	buffer_add_char(&rights, '\0');
	if (status == COMMAND_DONE)
		status = run_acl(c, w, who.at, verb[0] == 'd' ? NULL : rights.at);
	buffer_free(&who);
	buffer_free(&rights);
	return status;
}

/* An identifier may be anybody's to come, as one's of a back end who was never here (rfc4314:1): it is said, and no more. */
static void
look_who(struct client *c, struct call *call, const char *who)
{
	const char   *domain = strrchr(client_user(c), '@'), *name = who + (who[0] == '-');
	bool          group = name[0] == '$';
	struct buffer whole = { 0 }, said = { 0 };

	buffer_printf(&whole, "%s%s", name + group,
	              strchr(name, '@') == NULL && domain != NULL ? domain : "");
	buffer_add_char(&whole, '\0');
	const char *ask[] = { group ? "group" : "account", group ? "list" : "id", whole.at };
	if (domain != NULL && strcasecmp(name, "anyone") != 0 &&
	    strcasecmp(name, "authenticated") != 0 &&
	    command_hear(call, "clerk", &(struct word_ask){ ask, COUNT(ask), { NULL, 0 } },
	                 &said) == COMMAND_FAILED)
		(void)fprintf(
			stderr,
			"mansio: warning: there is no %s %s; the rights are for who will have "
			"that name; \"none\" instead of them takes them back\n",
			ask[0], whole.at);
	buffer_free(&whole);
	buffer_free(&said);
}

/* MAILBOX [WHO RIGHTS]; the rights "none" take WHO out of the list. */
int
mailbox_acl(struct client *c, struct mailbox_work *w)
{
	const char *who = w->argc > 1 ? w->argv[1] : NULL;
	bool        gives = w->argc > 2 && strcmp(w->argv[2], "none") != 0;
	int         status;

	if (w->rights_as_words != NULL)
		return acl_by_words(c, w);
	if (w->argc != 1 && w->argc != 3)
		return MAILBOX_CALLED_WRONGLY;
	status = run_acl(c, w, who, gives ? w->argv[2] : NULL);
	if (gives && status == COMMAND_DONE)
		look_who(c, w->call, who);
	return status;
}

/* ---- metadata ---- */

/* metadata-resp = "METADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"   rfc5464:5 */
static void
hear_metadata(void *ctx, struct client *c, const struct client_answer *a)
{
	struct mailbox_work *w = ctx;
	struct client_value  v;
	struct buffer        entry = { 0 }, value = { 0 };
	struct bytes         key, scope;

	if (!bytes_is(a->word, "METADATA"))
		return;
	client_next(c, &v);
	client_next(c, &v);
	for (client_next(c, &v); v.kind != VALUE_END && v.kind != VALUE_CLOSE; client_next(c, &v)) {
		buffer_reset(&entry);
		client_gather(c, &v, &entry, 1024);
		gather(c, &value);
		key = buffer_bytes(&entry);
		if (w->notes != NULL) /* without "/private/" */
			for (int n = 0; n < 2; n++)
				(void)bytes_split(&key, '/', &scope);
		if (w->notes == NULL || w->notes[0] == 'l')
			output_value(w->out, key);
		if (w->notes == NULL || w->notes[0] == 'g')
			output_value(w->out, buffer_bytes(&value));
		w->told = true;
	}
	buffer_free(&entry);
	buffer_free(&value);
}

/* What everybody is told of the server stands in main.cf. */
static bool
is_a_setting(const char *entry)
{
	static const struct {
		const char *entry, *setting;
	} rows[] = { { "/shared/comment", "imap_server_comment" },
		     { "/shared/admin", "imap_admin_contact" } };

	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcasecmp(entry, rows[i].entry) == 0) {
			(void)fprintf(
				stderr,
				"mansio: %s of the server is a setting; right would be: mansio config "
				"set %s=..., and mansio reload\n",
				entry, rows[i].setting);
			return true;
		}
	return false;
}

/* MAILBOX [ENTRY [VALUE]]; an empty VALUE takes the entry away, an empty MAILBOX is the server. */
int
mailbox_metadata(struct client *c, struct mailbox_work *w)
{
	struct buffer *out;
	int            status;

	if (w->argc == 3 && *w->argv[0] == '\0' && is_a_setting(w->argv[1]))
		return COMMAND_FAILED;
	buffer_add_string(client_begin(c), w->argc == 3   ? "SETMETADATA "
	                                   : w->argc == 2 ? "GETMETADATA "
	                                                  : "GETMETADATA (DEPTH infinity) ");
	out = client_out(c);
	if (*w->argv[0] == '\0')
		buffer_add_string(out, "\"\"");
	else
		client_put_mailbox(c, w->argv[0]);
	buffer_add_string(out, " (");
	if (w->argc == 1)
		buffer_add_string(out, "/private /shared");
	else
		client_put_string(c, bytes_of(w->argv[1]));
	if (w->argc == 3) {
		buffer_add_char(out, ' ');
		if (*w->argv[2] == '\0')
			buffer_add_string(out, "NIL");
		else
			client_put_string(c, bytes_of(w->argv[2]));
	}
	buffer_add_char(out, ')');
	w->told = false;
	status = mailbox_refused(c, w->argv[0], client_run(c, hear_metadata, w));
	if (status == COMMAND_DONE && !w->told && w->notes != NULL && w->notes[0] == 'g')
		output_value(w->out, BYTES("")); /* as doveadm says nothing */
	return status;
}

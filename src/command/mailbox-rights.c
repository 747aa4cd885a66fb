/* mailbox-rights -- `mailbox acl` and `mailbox metadata`: who may do what, and notes (rfc4314, rfc5464) */

#include <stdio.h>
#include <string.h>

#include "command/mailbox.h"

static void
gather(struct client *c, struct buffer *out)
{
	struct client_value v;

	buffer_reset(out);
	client_next(c, &v);
	client_gather(c, &v, out, 1 << 20);
}

/* ---- acl ---- */

/* acl-data = "ACL" SP mailbox *(SP identifier SP rights)   rfc4314:4 */
static void
hear_acl(void *ctx, struct client *c, const struct client_answer *a)
{
	struct mailbox_work *w = ctx;
	struct client_value  v;
	struct buffer        who = { 0 }, rights = { 0 };

	if (!bytes_is(a->word, "ACL"))
		return;
	client_next(c, &v);
	for (client_next(c, &v); v.kind != VALUE_END; client_next(c, &v)) {
		buffer_reset(&who);
		client_gather(c, &v, &who, 1024);
		gather(c, &rights);
		output_value(w->out, buffer_bytes(&who));
		output_value(w->out, buffer_bytes(&rights));
	}
	buffer_free(&who);
	buffer_free(&rights);
}

/* MAILBOX [WHO RIGHTS]; the rights "none" take WHO out of the list. */
int
mailbox_acl(struct client *c, struct mailbox_work *w)
{
	bool none = w->argc == 3 && strcmp(w->argv[2], "none") == 0;

	buffer_add_string(client_begin(c), w->argc == 1 ? "GETACL "
	                                   : none       ? "DELETEACL "
	                                                : "SETACL ");
	client_put_mailbox(c, w->argv[0]);
	for (int i = 1; i < (none ? 2 : w->argc); i++) {
		buffer_add_char(client_out(c), ' ');
		client_put_string(c, bytes_of(w->argv[i]));
	}
	return mailbox_refused(c, w->argv[0], client_run(c, hear_acl, w));
}

/* ---- metadata ---- */

/* metadata-resp = "METADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"   rfc5464:5 */
static void
hear_metadata(void *ctx, struct client *c, const struct client_answer *a)
{
	struct mailbox_work *w = ctx;
	struct client_value  v;
	struct buffer        entry = { 0 }, value = { 0 };

	if (!bytes_is(a->word, "METADATA"))
		return;
	client_next(c, &v);
	client_next(c, &v);
	for (client_next(c, &v); v.kind != VALUE_END && v.kind != VALUE_CLOSE; client_next(c, &v)) {
		buffer_reset(&entry);
		client_gather(c, &v, &entry, 1024);
		gather(c, &value);
		output_value(w->out, buffer_bytes(&entry));
		output_value(w->out, buffer_bytes(&value));
	}
	buffer_free(&entry);
	buffer_free(&value);
}

/* MAILBOX [ENTRY [VALUE]]; an empty VALUE takes the entry away, an empty MAILBOX is the server. */
int
mailbox_metadata(struct client *c, struct mailbox_work *w)
{
	struct buffer *out;

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
	return mailbox_refused(c, w->argv[0], client_run(c, hear_metadata, w));
}

/* wire-credential.c -- the bodies of CRED_ASK and CRED_SAID */
#include "role/wire.h"

static const char *
word_of(struct unpack *u, struct arena *a)
{
	struct bytes b = unpack_bytes(u);

	if (bytes_find(b, '\0') >= 0)
		u->broken = true;
	return u->broken ? "" : arena_copy(a, b);
}

void
word_pack_credential_ask(struct buffer *b, const struct word_credential_ask *w)
{
	pack_u8(b, w->mode);
	pack_string(b, w->backend);
	pack_string(b, w->service);
	pack_string(b, w->remote);
	pack_bytes(b, w->user);
	pack_bytes(b, w->password);
}

bool
word_unpack_credential_ask(struct bytes body, struct arena *a, struct word_credential_ask *w)
{
	struct unpack u = unpack_of(body);

	w->mode = unpack_u8(&u);
	w->backend = word_of(&u, a);
	w->service = word_of(&u, a);
	w->remote = word_of(&u, a);
	w->user = unpack_bytes(&u);
	w->password = unpack_bytes(&u);
	return unpack_done(&u) && w->mode < CREDENTIAL_MODES;
}

void
word_pack_credential_said(struct buffer *b, const struct word_credential_said *w)
{
	pack_u8(b, w->outcome);
	pack_string(b, w->text);
	pack_bytes(b, w->fields);
}

bool
word_unpack_credential_said(struct bytes body, struct arena *a, struct word_credential_said *w)
{
	struct unpack u = unpack_of(body);

	w->outcome = unpack_u8(&u);
	w->text = word_of(&u, a);
	w->fields = unpack_bytes(&u);
	return unpack_done(&u) && w->outcome < CREDENTIAL_OUTCOMES;
}

#include "access/imap/write.h"

#include <string.h>

#include "access/imap/grammar.h"
#include "message/encoding.h"

/* clang-format off */
static const struct { uint64_t flag; const char *word; } system_flags[] = {
	{ FLAG_ANSWERED, "\\Answered" },
	{ FLAG_FLAGGED,  "\\Flagged"  },
	{ FLAG_DELETED,  "\\Deleted"  },
	{ FLAG_SEEN,     "\\Seen"     },
	{ FLAG_DRAFT,    "\\Draft"    },
};
/* clang-format on */

/* rfc6154:2 */
/* clang-format off */
static const struct { enum mailbox_use use; const char *word; } uses[] = {
	{ USE_DRAFTS,    "\\Drafts"    },
	{ USE_SENT,      "\\Sent"      },
	{ USE_JUNK,      "\\Junk"      },
	{ USE_TRASH,     "\\Trash"     },
	{ USE_ARCHIVE,   "\\Archive"   },
	{ USE_ALL,       "\\All"       },
	{ USE_FLAGGED,   "\\Flagged"   },
	{ USE_IMPORTANT, "\\Important" },
};
/* clang-format on */

static bool
can_be_quoted(struct bytes text, bool utf8)
{
	bool eight = false;

	if (text.len > 998)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		if (c < ' ' || c == 127)
			return false;
		eight |= c > 127;
	}
	return !eight || (utf8 && utf8_valid(text));
}

/* string = quoted / literal   rfc3501:9; QUOTED-CHAR =/ UTF8-2 / UTF8-3 / UTF8-4   rfc9051:9 */
void
write_text(struct buffer *out, struct bytes text, bool utf8)
{
	if (!can_be_quoted(text, utf8)) {
		buffer_printf(out, "{%zu}\r\n", text.len);
		buffer_add(out, text);
		return;
	}
	buffer_add_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.at[i] == '"' || text.at[i] == '\\')
			buffer_add_char(out, '\\');
		buffer_add_char(out, text.at[i]);
	}
	buffer_add_char(out, '"');
}

void
write_string(struct buffer *out, struct bytes text)
{
	write_text(out, text, false);
}

/* astring = 1*ASTRING-CHAR / string; NIL in capitals or not is quoted. */
static void
write_astring_text(struct buffer *out, struct bytes text, bool utf8)
{
	bool atom = text.len > 0 && !bytes_is(text, "NIL");

	for (size_t i = 0; atom && i < text.len; i++)
		atom = is_astring_char(text.at[i]);
	if (atom)
		buffer_add(out, text);
	else
		write_text(out, text, utf8);
}

void
write_astring(struct buffer *out, struct bytes text)
{
	write_astring_text(out, text, false);
}

void
write_mailbox(struct buffer *out, const char *name, bool utf8)
{
	struct buffer coded = { 0 };

	if (utf8) {
		write_astring_text(out, bytes_of(name), true);
		return;
	}
	utf8_to_utf7(bytes_of(name), &coded);
	write_astring(out, buffer_bytes(&coded));
	buffer_free(&coded);
}

static void
write_word(struct buffer *out, bool *any, struct bytes word)
{
	if (*any)
		buffer_add_char(out, ' ');
	*any = true;
	buffer_add(out, word);
}

void
write_flags(struct buffer *out, const struct mailbox *mailbox, uint64_t flags, bool recent)
{
	bool        any = false;
	const char *name;

	buffer_add_char(out, '(');
	for (size_t i = 0; i < COUNT(system_flags); i++)
		if (flags & system_flags[i].flag)
			write_word(out, &any, bytes_of(system_flags[i].word));
	if (recent)
		write_word(out, &any, BYTES("\\Recent"));
	for (int k = KEYWORD_FIRST;
	     flags > SYSTEM_FLAGS && (name = mailbox_keyword_name(mailbox, k)) != NULL; k++)
		if (mailbox_flags_have(mailbox, flags, k))
			write_word(out, &any, bytes_of(name));
	buffer_add_char(out, ')');
}

void
write_flags_again(struct buffer *out, struct flags_said *said, const struct mailbox *mailbox,
                  uint64_t flags, bool recent)
{
	size_t i = (flags ^ flags >> 3 ^ recent) % COUNT(said->last), at = out->len;

	if (said->last[i].len > 0 && said->last[i].flags == flags &&
	    said->last[i].recent == recent) {
		buffer_add(out, (struct bytes){ said->last[i].text, said->last[i].len });
		return;
	}
	write_flags(out, mailbox, flags, recent);
	if (out->len - at > sizeof said->last[i].text)
		return;
	said->last[i].flags = flags;
	said->last[i].recent = recent;
	said->last[i].len = (uint8_t)(out->len - at);
	memcpy(said->last[i].text, out->at + at, out->len - at);
}

void
write_flags_known(struct buffer *out, const struct mailbox *mailbox)
{
	bool        any = false;
	const char *name;

	buffer_add_char(out, '(');
	for (size_t i = 0; i < COUNT(system_flags); i++)
		write_word(out, &any, bytes_of(system_flags[i].word));
	for (int k = KEYWORD_FIRST; (name = mailbox_keyword_name(mailbox, k)) != NULL; k++)
		write_word(out, &any, bytes_of(name));
	buffer_add_char(out, ')');
}

void
write_flags_may(struct buffer *out, const struct mailbox *mailbox, uint64_t may)
{
	bool        any = false;
	const char *name;

	buffer_add_char(out, '(');
	for (size_t i = 0; i < COUNT(system_flags); i++)
		if (may & system_flags[i].flag)
			write_word(out, &any, bytes_of(system_flags[i].word));
	if (may & FLAG_FLAGGED) {
		for (int k = KEYWORD_FIRST; (name = mailbox_keyword_name(mailbox, k)) != NULL; k++)
			write_word(out, &any, bytes_of(name));
		write_word(out, &any, BYTES("\\*"));
	}
	buffer_add_char(out, ')');
}

uint8_t
keywords_known(const struct mailbox *mailbox)
{
	uint8_t count = 0;

	while (mailbox_keyword_name(mailbox, KEYWORD_FIRST + count) != NULL)
		count++;
	return count;
}

const char *
use_word(enum mailbox_use use)
{
	for (size_t i = 0; i < COUNT(uses); i++)
		if (uses[i].use == use)
			return uses[i].word;
	return NULL;
}

enum mailbox_use
use_of(struct bytes word)
{
	for (size_t i = 0; i < COUNT(uses); i++)
		if (bytes_is(word, uses[i].word))
			return uses[i].use;
	return USE_NONE;
}

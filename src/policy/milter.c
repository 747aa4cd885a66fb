#include "policy/milter.h"

#include <string.h>

/* clang-format off */
static const struct {
	int version;
	uint32_t actions, steps;
} versions[] = {
	{ 2, 0x3f,  0x7f },
	{ 3, 0x3f,  0x17f },
	{ 4, 0x3f,  0x37f },
	{ 6, 0x1ff, 0x1fffff },
};
/* clang-format on */

uint32_t
milter_actions_of(int version)
{
	for (size_t i = 0; i < COUNT(versions); i++)
		if (versions[i].version == version)
			return versions[i].actions;
	return 0;
}

uint32_t
milter_steps_of(int version)
{
	for (size_t i = 0; i < COUNT(versions); i++)
		if (versions[i].version == version)
			return versions[i].steps;
	return 0;
}

/*
 * What is said
 */

static void
add_u32(struct buffer *out, uint32_t n)
{
	char be[4] = { (char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n };

	buffer_add(out, (struct bytes){ be, sizeof be });
}

size_t
milter_begin(struct buffer *out, enum milter_command word)
{
	size_t begun = out->len;

	add_u32(out, 0);
	buffer_add_char(out, (char)word);
	return begun;
}

void
milter_end(struct buffer *out, size_t begun)
{
	uint32_t n = (uint32_t)(out->len - begun - 4);

	for (int i = 0; i < 4; i++)
		out->at[begun + (size_t)i] = (char)(n >> (24 - 8 * i));
}

void
milter_text(struct buffer *out, struct bytes text)
{
	ptrdiff_t nul = bytes_find(text, '\0');

	buffer_add(out, bytes_cut(text, 0, nul >= 0 ? (size_t)nul : text.len));
	buffer_add_char(out, '\0');
}

void
milter_say(struct buffer *out, enum milter_command word)
{
	milter_end(out, milter_begin(out, word));
}

void
milter_say_options(struct buffer *out, uint32_t version, uint32_t actions, uint32_t steps)
{
	size_t begun = milter_begin(out, MILTER_NEGOTIATE);

	add_u32(out, version);
	add_u32(out, actions);
	add_u32(out, steps);
	milter_end(out, begun);
}

void
milter_say_connect(struct buffer *out, struct bytes name, char family, uint16_t port,
                   struct bytes address)
{
	size_t begun = milter_begin(out, MILTER_CONNECT);

	milter_text(out, name);
	buffer_add_char(out, family);
	if (family != 'U') {
		buffer_add_char(out, (char)(port >> 8));
		buffer_add_char(out, (char)port);
		milter_text(out, address);
	}
	milter_end(out, begun);
}

void
milter_say_arguments(struct buffer *out, enum milter_command word, const struct bytes *argument,
                     size_t count)
{
	size_t begun = milter_begin(out, word);

	for (size_t i = 0; i < count; i++)
		milter_text(out, argument[i]);
	milter_end(out, begun);
}

/* A folded value is told with bare LFs. */
void
milter_say_header(struct buffer *out, struct bytes name, struct bytes value)
{
	size_t begun = milter_begin(out, MILTER_HEADER);

	milter_text(out, name);
	for (size_t i = 0; i < value.len; i++) {
		char c = value.at[i];

		if (c != '\0' && !(c == '\r' && i + 1 < value.len && value.at[i + 1] == '\n'))
			buffer_add_char(out, c);
	}
	buffer_add_char(out, '\0');
	milter_end(out, begun);
}

void
milter_say_body(struct buffer *out, struct bytes chunk)
{
	size_t begun = milter_begin(out, MILTER_BODY);

	buffer_add(out, chunk);
	milter_end(out, begun);
}

/*
 * What is answered
 */

static uint32_t
read_u32(const char *at)
{
	const unsigned char *u = (const unsigned char *)at;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

enum milter_outcome
milter_frame(struct bytes arrived, uint8_t *word, struct bytes *body, size_t *used)
{
	uint32_t len;

	*used = 0;
	if (arrived.len < 4)
		return MILTER_SHORT;
	len = read_u32(arrived.at);
	if (len < 1 || len > MILTER_FRAME_MOST)
		return MILTER_NONSENSE;
	if (arrived.len - 4 < len)
		return MILTER_SHORT;
	*word = (uint8_t)arrived.at[4];
	*body = bytes_cut(arrived, 5, len - 1);
	*used = 4 + (size_t)len;
	return MILTER_WHOLE;
}

static bool
take_u32(struct bytes *rest, uint32_t *out)
{
	if (rest->len < 4)
		return false;
	*out = read_u32(rest->at);
	*rest = bytes_cut(*rest, 4, rest->len);
	return true;
}

static bool
take_text(struct bytes *rest, struct bytes *out)
{
	ptrdiff_t nul = bytes_find(*rest, '\0');

	if (nul < 0)
		return false;
	*out = bytes_cut(*rest, 0, (size_t)nul);
	*rest = bytes_cut(*rest, (size_t)nul + 1, rest->len);
	return true;
}

bool
milter_options_read(struct bytes body, struct milter_options *o)
{
	*o = (struct milter_options){ .version = 0 };
	if (!take_u32(&body, &o->version) || !take_u32(&body, &o->actions) ||
	    !take_u32(&body, &o->steps))
		return false;
	while (body.len > 0) {
		struct bytes names;
		uint32_t     stage;

		if (!take_u32(&body, &stage) || !take_text(&body, &names) ||
		    stage >= MILTER_STAGES_OF_FILTERS)
			return false;
		o->symbols[stage] = names;
	}
	return true;
}

/* What belongs to each answer, in its order: i index, n name, v value, p value or nothing, b all the rest. */
/* clang-format off */
static const struct {
	uint8_t word;
	const char *holds;
} forms[] = {
	{ MILTER_ADD_RCPT, "n" },       { MILTER_DELETE_RCPT, "n" },     { MILTER_ADD_RCPT_PAR, "np" },
	{ MILTER_SHUTDOWN, "" },        { MILTER_ACCEPT, "" },           { MILTER_REPLACE_BODY, "b" },
	{ MILTER_CONTINUE, "" },        { MILTER_DISCARD, "" },          { MILTER_CHANGE_FROM, "np" },
	{ MILTER_CONNECTION_FAIL, "" }, { MILTER_ADD_HEADER, "nv" },     { MILTER_INSERT_HEADER, "inv" },
	{ MILTER_CHANGE_HEADER, "inv" },{ MILTER_PROGRESS, "" },         { MILTER_QUARANTINE, "v" },
	{ MILTER_REJECT, "" },          { MILTER_SKIP, "" },             { MILTER_TEMPFAIL, "" },
	{ MILTER_REPLY_CODE, "v" },
};
/* clang-format on */

static bool
take_part(char kind, struct bytes *rest, struct milter_answer *a)
{
	switch (kind) {
	case 'i': return take_u32(rest, &a->index);
	case 'n': return take_text(rest, &a->name) && a->name.len > 0;
	case 'v': return take_text(rest, &a->value);
	case 'p': return rest->len == 0 || take_text(rest, &a->value);
	default: break;
	}
	a->value = *rest;
	*rest = (struct bytes){ NULL, 0 };
	return true;
}

bool
milter_answer_read(uint8_t word, struct bytes body, struct milter_answer *a)
{
	*a = (struct milter_answer){ .word = word };
	for (size_t i = 0; i < COUNT(forms); i++) {
		if (forms[i].word != word)
			continue;
		for (const char *p = forms[i].holds; *p != '\0'; p++)
			if (!take_part(*p, &body, a))
				return false;
		return body.len == 0;
	}
	return false;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "550-5.7.1 text": the code of the first line, and what follows it up to the end of the line. */
static bool
reply_line(struct bytes line, const char *code, bool last, struct buffer *out)
{
	if (line.len < 3 || line.len > MILTER_REPLY_LINE || memcmp(line.at, code, 3) != 0 ||
	    (line.len > 3 && line.at[3] != ' ' && line.at[3] != '-'))
		return false;
	buffer_add(out, bytes_cut(line, 0, 3));
	buffer_add_char(out, last ? ' ' : '-');
	for (size_t i = 4; i < line.len; i++) {
		char c = line.at[i];

		if ((unsigned char)c < ' ' || c == 0x7f)
			c = '?';
		buffer_add_char(out, c);
		/* A filter writes %% for a per cent sign. */
		if (c == '%' && i + 1 < line.len && line.at[i + 1] == '%')
			i++;
	}
	return true;
}

bool
milter_reply_clean(struct bytes text, struct buffer *out)
{
	size_t       begun = out->len, lines = 0;
	struct bytes line;
	const char  *code = text.at;

	if (text.len < 3 || (code[0] != '4' && code[0] != '5') || !is_digit(code[1]) ||
	    !is_digit(code[2]))
		return false;
	while (text.len > 0 && bytes_is(bytes_cut(text, text.len - 1, 1), "\n"))
		text.len--;
	while (bytes_split(&text, '\n', &line)) {
		while (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		if (lines > 0)
			buffer_add(out, BYTES("\r\n"));
		if (++lines > MILTER_REPLY_LINES || !reply_line(line, code, text.len == 0, out)) {
			out->len = begun;
			return false;
		}
	}
	return true;
}

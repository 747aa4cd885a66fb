#include "unit.h"

#include "base/base64.h"
#include "base/random.h"

struct pair_case {
	const char *why, *plain, *encoded;
};
static const struct pair_case pairs[] = {
	{ "rfc4648:10", "", "" },
	{ "rfc4648:10", "f", "Zg==" },
	{ "rfc4648:10", "fo", "Zm8=" },
	{ "rfc4648:10", "foo", "Zm9v" },
	{ "rfc4648:10", "foob", "Zm9vYg==" },
	{ "rfc4648:10", "fooba", "Zm9vYmE=" },
	{ "rfc4648:10", "foobar", "Zm9vYmFy" },
	{ "rfc4648:9 the last digits", "\x14\xfb\x9c\x03\xd9\x7e", "FPucA9l+" },
	{ "both that are no letters", "\xff\xef\xbe", "/+++" },
};

static void
test_pairs(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct bytes plain = bytes_of(pairs[i].plain), encoded = bytes_of(pairs[i].encoded);
		buffer_reset(&out);
		buffer_add_string(&out, "before");
		base64_encode(&out, plain);
		buffer_eat(&out, 6);
		SAME(pairs[i].why, buffer_bytes(&out), encoded);
		buffer_reset(&out);
		buffer_add_string(&out, "before");
		HOLDS(pairs[i].why, base64_decode(&out, encoded));
		buffer_eat(&out, 6);
		SAME(pairs[i].why, buffer_bytes(&out), plain);
	}
	buffer_free(&out);
}

struct refused_case {
	const char *why, *in;
};
static const struct refused_case refused[] = {
	{ "rfc4648:3.2 padding is missing", "Zg" },
	{ "one digit alone", "Z" },
	{ "rfc4648:3.5 bits left over", "Zh==" },
	{ "rfc4648:3.5 bits left over", "Zm9=" },
	{ "rfc4648:3.3 a newline inside", "Zm9v\r\nYmFy" },
	{ "a blank", "Zm9 " },
	{ "padding inside", "Zg==Zg==" },
	{ "padding alone", "====" },
	{ "three pads", "Z===" },
	{ "a pad before a digit", "Zm=v" },
	{ "rfc4648:5 is another alphabet", "__--" },
	{ "no ASCII", "\xff\xff\xff\xff" },
};

static void
test_refused(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	buffer_add_string(&out, "before");
	for (size_t i = 0; i < COUNT(refused); i++) {
		HOLDS(refused[i].why, !base64_decode(&out, bytes_of(refused[i].in)));
		SAME(refused[i].why, buffer_bytes(&out), BYTES("before"));
	}
	buffer_free(&out);
}

static void
test_there_and_back(void **state)
{
	struct buffer encoded = { 0 }, plain = { 0 };
	char          in[200];

	(void)state;
	for (size_t n = 0; n < sizeof in; n++) {
		struct bytes b = { in, n };
		random_fill(in, n);
		buffer_reset(&encoded);
		buffer_reset(&plain);
		base64_encode(&encoded, b);
		HOLDS("what we wrote", base64_decode(&plain, buffer_bytes(&encoded)));
		SAME("the same again", buffer_bytes(&plain), b);
	}
	buffer_free(&encoded);
	buffer_free(&plain);
}

UNIT(test_pairs, test_refused, test_there_and_back)

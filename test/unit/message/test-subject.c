#include "unit.h"

#include "message/subject.h"

static void
test_base(void **state)
{
	static const struct { const char *why, *in, *out; } rows[] = {
		{ "plain", "hello", "hello" },
		{ "re", "Re: hello", "hello" },
		{ "re re", "Re: RE: re : hello", "hello" },
		{ "fw and fwd", "Fw: Fwd: hello", "hello" },
		{ "re with a blob", "Re[2]: hello", "hello" },
		{ "re with a blank and a blob", "Re [2]: hello", "hello" },
		{ "blob before re", "[list] Re: hello", "hello" },
		{ "blob after re", "Re: [list] hello", "hello" },
		{ "blobs", "[a] [b][c] Re: [d] hello", "hello" },
		{ "a blob is all there is", "[list]", "[list]" },
		{ "the last blob stays", "Re: [a] [list]", "[list]" },
		{ "trailing fwd", "hello (fwd)", "hello" },
		{ "trailing fwd twice", "hello (fwd) (FWD) ", "hello" },
		{ "fwd brackets", "[fwd: hello]", "hello" },
		{ "fwd brackets within", "[Fwd: [fwd: Re: hello (fwd)]]", "hello" },
		{ "fwd brackets with something after", "[fwd: hello] x", "x" },
		{ "blanks become one", "a \t  b", "a b" },
		{ "re of something else", "Regarding: hello", "Regarding: hello" },
		{ "re alone", "Re:", "" },
		{ "empty", "", "" },
		{ "blanks", "   ", "" },
		{ "unclosed blob", "[list hello", "[list hello" },
		{ "blob in blob", "[a[b]] x", "[a[b]] x" },
		{ "Chinese", "Re: \xe5\x9b\x9e\xe5\xa4\x8d", "\xe5\x9b\x9e\xe5\xa4\x8d" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open(NULL);

		SAME(rows[i].why, subject_base(bytes_of(rows[i].in), a), bytes_of(rows[i].out));
		arena_close(&a);
	}
}

static void
test_references(void **state)
{
	static const struct { const char *why, *references, *reply, *out; } rows[] = {
		{ "list", "<a@b> <c@d>", "<e@f>", "<a@b> <c@d>" },
		{ "folded", "<a@b>\r\n\t<c@d>", "", "<a@b> <c@d>" },
		{ "no blanks between", "<a@b><c@d>", "", "<a@b> <c@d>" },
		{ "the shortest, blanks added", "<@><@><@>", "", "<@> <@> <@>" },
		{ "words between", "your mail <a@b> of today, <c@d>", "", "<a@b> <c@d>" },
		{ "only In-Reply-To, its first", "", "<e@f> <g@h>", "<e@f>" },
		{ "none valid there", "nothing", "<e@f>", "<e@f>" },
		{ "quoted local part", "<\"john.doe\"@b>", "", "<john.doe@b>" },
		{ "quotes that are needed", "<\"john doe\"@b>", "", "" },
		{ "quotes that are needed, no blank", "<\"john(doe\"@b>", "", "<\"john(doe\"@b>" },
		{ "no at", "<abc> <a@b>", "", "<a@b>" },
		{ "blank inside", "<a @b> <c@d>", "", "<c@d>" },
		{ "not closed", "<a@b <c@d>", "", "<c@d>" },
		{ "not closed at the end", "<a@b", "", "" },
		{ "empty", "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open(NULL);

		SAME(rows[i].why, references_of(bytes_of(rows[i].references), bytes_of(rows[i].reply), a),
		     bytes_of(rows[i].out));
		arena_close(&a);
	}
}

static void
test_linear(void **state)
{
	static const char *const pieces[] = { "[a]", "re:", "[fwd:", "(fwd)", "re[", "<", "<a@b>", "<\"", " " };

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct arena *a = arena_open(NULL);
		struct buffer b = { 0 };

		while (b.len < 1 << 20)
			buffer_add_string(&b, pieces[i]);
		HOLDS(pieces[i], subject_base(buffer_bytes(&b), a).len <= b.len);
		HOLDS(pieces[i], references_of(buffer_bytes(&b), buffer_bytes(&b), a).len <= b.len);
		buffer_free(&b);
		arena_close(&a);
	}
}

UNIT(test_base, test_references, test_linear)

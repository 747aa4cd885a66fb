/*
 * cf -- the lines of a main.cf, before anyone asks what they mean
 *
 * From:     setting, which reads and edits
 * Touches:  nothing; views into the text
 *
 * cf_next()  takes the next line off the front.  A line is a remark (empty, or
 *            its first byte that is not blank is #), begins something (its
 *            first byte is not blank) or goes on with what was begun before,
 *            remarks between them notwithstanding.
 * cf_name()  what stands before the first =, trimmed; the whole text if there
 *            is none.  *value is what stands behind it; its `at` is NULL then.
 */
#ifndef BASE_CF_H
#define BASE_CF_H

#include "base/bytes.h"

enum cf_kind { CF_REMARK, CF_BEGIN, CF_MORE };

struct cf_line {
	enum cf_kind kind;
	int          number;      /* from 1; zeroed before the first call */
	struct bytes whole;       /* with its newline, if it has one      */
	struct bytes text;        /* trimmed                              */
};

bool         cf_next(struct bytes *rest, struct cf_line *);
struct bytes cf_name(struct bytes text, struct bytes *value);

#endif

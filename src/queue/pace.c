#include "queue/pace.h"

enum { ALONE, BY_WINDOW, BY_ROOT };

void
pace_begin(struct pace *p, const struct pace_rules *rules)
{
	*p = (struct pace){ .window = rules->first < rules->most ? rules->first : rules->most };
}

/* Good enough for windows of thousands, and no library. */
static double
root(double n)
{
	double x = n;

	for (int i = 0; i < 40; i++)
		x = (x + n / x) / 2;
	return x;
}

static double
feedback(const struct pace_feedback *f, uint32_t window)
{
	double w = window;

	return f->by == BY_WINDOW ? f->amount / w
	       : f->by == BY_ROOT ? f->amount / root(w)
	                          : f->amount;
}

void
pace_good(struct pace *p, const struct pace_rules *rules, uint32_t busy)
{
	p->cohorts = 0;
	p->bad = 0;
	if (p->window > rules->most)
		p->window = rules->most;
	if (p->window >= rules->most || p->window >= busy + rules->first)
		return;
	for (p->good += feedback(&rules->good, p->window); p->good >= 1 && p->window < rules->most;
	     p->good -= 1)
		p->window++;
}

bool
pace_bad(struct pace *p, const struct pace_rules *rules)
{
	p->good = 0;
	p->cohorts += 1.0 / p->window;
	if (rules->cohorts > 0 && p->cohorts >= rules->cohorts - 1e-6)
		return true;
	for (p->bad += feedback(&rules->bad, p->window); p->bad >= 1 && p->window > 1; p->bad -= 1)
		p->window--;
	return false;
}

void
pace_probe(struct pace *p)
{
	*p = (struct pace){ .window = 1 };
}

/* "0.25": no sign, no exponent. */
static bool
amount_read(struct bytes t, double *out)
{
	double unit = 0;
	bool   digit = false;

	*out = 0;
	for (size_t i = 0; i < t.len; i++) {
		if (t.at[i] == '.' && unit == 0) {
			unit = 1;
		} else if (t.at[i] >= '0' && t.at[i] <= '9') {
			digit = true;
			unit /= 10;
			*out = unit > 0 ? *out + (t.at[i] - '0') * unit
			                : *out * 10 + (t.at[i] - '0');
		} else {
			return false;
		}
	}
	return digit && *out <= 1;
}

bool
pace_feedback_read(struct bytes text, struct pace_feedback *out)
{
	struct bytes rest = text, amount;
	bool         divided = bytes_find(text, '/') >= 0;

	*out = (struct pace_feedback){ 0, ALONE };
	(void)bytes_split(&rest, '/', &amount);
	if (!amount_read(bytes_trim(amount), &out->amount))
		return false;
	if (!divided)
		return true;
	rest = bytes_trim(rest);
	out->by = bytes_is(rest, "concurrency") ? BY_WINDOW : BY_ROOT;
	return out->by == BY_WINDOW || bytes_is(rest, "sqrt_concurrency");
}

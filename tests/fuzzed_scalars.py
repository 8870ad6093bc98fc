"""What schemathesis sends for scalars of ours that it does not know: loaded by it as its hooks."""

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

_TEXT = st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)
_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=2).map("{:f}".format)
_CURRENCIES = st.sampled_from(["EUR", "USD", "JPY", "KWD", "XXX", "eur"])

# Most are well formed, so that something is recorded; the rest is to be refused.
schemathesis.graphql.scalar("Decimal", (_DECIMALS | _TEXT).map(nodes.String))
schemathesis.graphql.scalar("CurrencyCode", (_CURRENCIES | _TEXT).map(nodes.String))

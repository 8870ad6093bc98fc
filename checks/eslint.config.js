// schema.graphql against graphql-eslint's `schema-all` and `schema-relay`.
import graphql from "@graphql-eslint/eslint-plugin";

export default [
  {
    files: ["**/*.graphql"],
    plugins: { "@graphql-eslint": graphql },
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: "../schema.graphql" } },
    },
    rules: {
      ...graphql.configs["flat/schema-all"].rules,
      ...graphql.configs["flat/schema-relay"].rules,

      // Loosened, each for a reason.
      // Fields stand in the order in which a reader wants them: what it is, what it does, what it holds.
      "@graphql-eslint/alphabetize": "off",
      // There are mutations.
      "@graphql-eslint/no-root-type": "off",
      // A payload holds what was changed, and its nodes lead to the rest; a second root in every
      // payload would let one request read everything after each of its changes.
      "@graphql-eslint/require-field-of-type-query-in-mutation-result": "off",
      // `Campaign.campaignLinks`: "campaign link" is a noun of the product, not a repeated prefix.
      "@graphql-eslint/no-typename-prefix": "off",
      // `nodes` stands beside `edges`, for the many who need no cursor of each item.
      // And `Hit`, which goes when it is no longer kept and names nobody, is no `Node` to be found by an ID.
      "@graphql-eslint/relay-edge-types": [
        "error",
        { listTypeCanWrapOnlyEdgeType: false, shouldImplementNode: false },
      ],
      // What is no object of its own but a part or a view of one has no ID to be found by.
      "@graphql-eslint/strict-id-in-types": [
        "error",
        {
          acceptedIdNames: ["id"],
          acceptedIdTypes: ["ID"],
          exceptions: {
            suffixes: ["Connection", "Edge", "Payload", "Result"],
            types: [
              "AuditChange",
              "BlockedHost",
              "ClickCounts",
              "ConversionEntry",
              "ConversionSettings",
              "ExcludedHits",
              "Hit",
              "LinkDestination",
              "LinkHolders",
              "MergeTag",
              "MessagePreview",
              "Money",
              "PageInfo",
              "Reconciliation",
              "Restatement",
              "RevenueTotal",
              "SelfTestStep",
              "Stats",
              "StatsBreakdown",
              "StatsBreakdownRow",
              "StatsCounts",
              "StatsPoint",
              "UserError",
              "UtmParameter",
              "Viewer",
            ],
          },
        },
      ],
    },
  },
];

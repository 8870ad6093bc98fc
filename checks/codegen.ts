// Types for every operation of examples/, as an application would generate them.
import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  importExtension: ".js",
  schema: "../schema.graphql",
  documents: ["../examples/*.graphql"],
  generates: {
    "../examples/clients/typescript/generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: "string",
        strictScalars: true,
        scalars: { Date: "string", DateTime: "string", TimeZone: "string", CurrencyCode: "string", Decimal: "string", URL: "string" },
        useTypeImports: true,
        enumsAsTypes: true,
      },
    },
  },
};

export default config;

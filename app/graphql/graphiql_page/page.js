// Starts GraphiQL with the examples and the key that the server put into the page.
"use strict";

const config = JSON.parse(document.getElementById("config").textContent);
const address = new URL(location.pathname, location.href);
const socketAddress = new URL(address);
socketAddress.protocol = address.protocol === "https:" ? "wss:" : "ws:";

function authorization(headers) {
  const name = Object.keys(headers ?? {}).find((key) => key.toLowerCase() === "authorization");
  return name && headers[name];
}

// A socket is opened for each key that is used: the key goes with its first message.
const sockets = new Map();
function socketFor(key) {
  if (!sockets.has(key)) {
    const connectionParams = key ? { authorization: key } : {};
    sockets.set(key, graphqlWs.createClient({ url: socketAddress.href, connectionParams }));
  }
  return sockets.get(key);
}

function fetcher(params, options) {
  return GraphiQL.createFetcher({
    url: address.href,
    wsClient: socketFor(authorization(options?.headers)),
  })(params, options);
}

function App() {
  const [query, setQuery] = React.useState(undefined);
  const explorer = GraphiQLPluginExplorer.useExplorerPlugin({ query, onEdit: setQuery });
  return React.createElement(GraphiQL, {
    fetcher,
    query,
    onEditQuery: setQuery,
    plugins: [explorer],
    defaultTabs: config.tabs.map((tab) => ({ ...tab, headers: config.headers })),
    defaultHeaders: config.headers,
    defaultEditorToolsVisibility: "headers",
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
  });
}

ReactDOM.render(React.createElement(App), document.getElementById("graphiql"));

// An echo server on Node's net module.
const server = require("net").createServer({ noDelay: true }, (client) => {
  client.pipe(client);
  client.on("error", () => client.destroy());
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 1024 }, () => console.log(server.address().port));

// Receives webhooks as the reference library of Standard Webhooks does: says its port, is told its secret on standard input, and answers 204 to what it verifies.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Webhook } from 'standardwebhooks';

let webhook;
createInterface({ input: process.stdin }).on('line', secret => {
  webhook = new Webhook(secret);
  console.log('ready');
}).on('close', () => process.exit());

createServer((request, response) => {
  const chunks = [];
  request.on('data', chunk => chunks.push(chunk)).on('end', () => {
    try {
      const event = webhook.verify(Buffer.concat(chunks).toString('utf8'), request.headers);
      response.writeHead(204).end();
      console.log(event.type);
    } catch (refused) {
      response.writeHead(400).end(`${refused.name}: ${refused.message}`);
    }
  });
}).listen(0, '127.0.0.1', function () {
  console.log(this.address().port);
});

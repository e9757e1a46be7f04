// aedes on a port of loopback: node server.mjs PORT
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const broker = await Aedes.createBroker()
const server = createServer(broker.handle)
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'))

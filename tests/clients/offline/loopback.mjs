// Loaded by every Node process of `make clients`: nobody reaches beyond this machine.
import net from 'node:net';

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  const [first] = Array.isArray(given[0]) ? given[0] : given;
  const host = typeof first === 'object' && first ? first.host : typeof given[1] === 'string' ? given[1] : undefined;
  const local = host === undefined || host === 'localhost' || host === '::1' || host.startsWith('127.');
  if (!local) throw new Error(`connect to ${host}: only loopback here`);
  return connect.apply(this, given);
};

/** A protobuf message without its schema: fields by number. */
export interface Message {
  messages(field: number): readonly Message[];
  /** The first; empty where there is none. */
  bytes(field: number): Buffer;
  /** The first; 0 where there is none. */
  number(field: number): bigint;
}

/** @throws where the bytes are no protobuf. */
export function decode(buffer: Buffer): Message {
  const fields = new Map<number, (Buffer | bigint)[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(buffer.readUInt8(at++));
      value |= (byte & 0x7fn) << shift;
      if (byte < 0x80n) return value;
    }
  };
  const take = (length: number): Buffer => {
    if (at + length > buffer.length) throw new RangeError('a field is longer than its message');
    return buffer.subarray(at, (at += length));
  };
  while (at < buffer.length) {
    const tag = Number(varint());
    const field = tag >>> 3;
    const values = fields.get(field) ?? [];
    fields.set(field, values);
    switch (tag & 7) {
      case 0:
        values.push(varint());
        break;
      case 1:
        values.push(take(8).readBigUInt64LE());
        break;
      case 2:
        values.push(take(Number(varint())));
        break;
      case 5:
        values.push(BigInt(take(4).readUInt32LE()));
        break;
      default:
        throw new RangeError(`wire type ${tag & 7} of field ${field}`);
    }
  }
  const all = (field: number): readonly (Buffer | bigint)[] => fields.get(field) ?? [];
  return {
    messages: (field) => all(field).flatMap((value) => (typeof value === 'bigint' ? [] : [decode(value)])),
    bytes: (field) => all(field).find((value): value is Buffer => typeof value !== 'bigint') ?? Buffer.alloc(0),
    number: (field) => all(field).find((value): value is bigint => typeof value === 'bigint') ?? 0n,
  };
}

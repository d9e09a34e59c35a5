/** What an ONNX file says of itself: the pairs of words in its `metadata_props`. */

const METADATA_PROPS = 14; // of ModelProto in onnx.proto
const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5]; // how a field is stored: protobuf's wire types

export function readMetadata(file: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  for (const { number, content } of fields(file)) {
    if (number !== METADATA_PROPS) continue;
    const words = new Map([...fields(content)].map((field) => [field.number, new TextDecoder().decode(field.content)]));
    found.set(words.get(1) ?? "", words.get(2) ?? "");
  }
  return found;
}

/** The fields of a protobuf message that hold bytes. */
function* fields(message: Uint8Array): Generator<{ number: number; content: Uint8Array }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      if (at >= message.length) throw new RangeError("the network's file is cut off");
      const byte = message[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const [number, type] = [Math.floor(tag / 8), tag % 8];
    if (type === VARINT) varint();
    else if (type === FIXED64) at += 8;
    else if (type === FIXED32) at += 4;
    else if (type === BYTES) {
      const length = varint();
      if (at + length > message.length) throw new RangeError("the network's file is cut off");
      yield { number, content: message.subarray(at, at + length) };
      at += length;
    } else throw new RangeError(`the network's file is no ONNX file: field of type ${type}`);
  }
}

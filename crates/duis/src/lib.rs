//! DUIS messages: structure table, reader, writer, schema check, signatures

-- Remember: add the next version of a memory
INSERT INTO memory_entries (namespace, key, value, memory_type, version, metadata, created_by, updated_by)
VALUES (:namespace, :key, :value, :memory_type, :version, :metadata, :created_by, :created_by)
RETURNING id, namespace, key, value, memory_type, version, is_deleted, metadata, created_by, updated_by,
          created_at, updated_at;

-- Record an action in the audit trail
INSERT INTO audit (timestamp, agent_id, task_id, action_type, action_data, memory_operation_type,
                   memory_namespace, memory_entry_id)
VALUES (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'), :agent_id, :task_id, :action_type, :action_data,
        :memory_operation_type, :memory_namespace, :memory_entry_id);

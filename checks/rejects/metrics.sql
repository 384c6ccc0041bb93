-- metrics refuses incomplete rows, and values below zero

INSERT INTO metrics (id, timestamp, metric_name, metric_value)
VALUES (1, '2026-01-01', 'tokens', 1);


-- NOT NULL constraint failed: metrics.timestamp
INSERT INTO metrics (metric_name, metric_value) VALUES ('tokens', 1);

-- NOT NULL constraint failed: metrics.metric_name
INSERT INTO metrics (timestamp, metric_value) VALUES ('2026-01-01', 1);

-- NOT NULL constraint failed: metrics.metric_value
INSERT INTO metrics (timestamp, metric_name) VALUES ('2026-01-01', 'tokens');


-- UNIQUE constraint failed: metrics.id
INSERT INTO metrics (id, timestamp, metric_name, metric_value)
VALUES (1, '2026-01-01', 'tokens', 1);

-- CHECK constraint failed: metric_value >= 0
INSERT INTO metrics (timestamp, metric_name, metric_value) VALUES ('2026-01-01', 'tokens', -0.001);

-- metrics takes zero, fractions and very large values

INSERT INTO metrics (timestamp, metric_name, metric_value)
VALUES ('2026-01-01', 'tokens', 0), ('2026-01-01', 'tokens', 0.5), ('2026-01-01', 'tokens', 9e99);
INSERT INTO metrics (timestamp, metric_name, metric_value, labels)
VALUES ('2026-01-01', 'tokens', 1, '{"model": "m"}');
SELECT 'not a real number: ' || metric_value FROM metrics WHERE typeof(metric_value) <> 'real';

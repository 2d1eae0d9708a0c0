-- The secret of the box key that a gateway sealed raw card values to before it knew a hub, itself sealed to this hub.
ALTER TABLE device_keys ADD COLUMN raw0 TEXT;

-- The same message again is known by its digest.
DROP INDEX parked_device;
CREATE INDEX parked_message ON parked (device, digest);

CREATE INDEX forks_device ON forks (device);

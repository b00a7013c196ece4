SELECT a, 'it''s', E'x\'y', $t$z$t$, 1.5e-3, $1 FROM "s"."t" WHERE b IN (1, 2) -- c

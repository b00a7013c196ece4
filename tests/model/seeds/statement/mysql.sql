SELECT "a\"b" FROM `t` # x
WHERE e=5--3
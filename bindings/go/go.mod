module sandlock

go 1.20

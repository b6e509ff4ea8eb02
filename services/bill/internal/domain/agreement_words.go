package domain

// wording is the words of a contract in one language, and how it writes figures.
type wording struct {
	title, number, placeAndDate, version           string
	parties, lender, borrower, facility, agreement string
	purchase, checkout, principal, downPayment     string
	interest, fee, total, effective                string
	perMonth, perYear, no, due, datesNote          string
	lateHeading, lateNone, latePerMonth            string
	latePerDay, grace, waived, limited             string
	signature, signed                              string
	thousands, decimal, rupiah                     string
	months                                         [12]string
}

func indonesian() wording {
	return wording{
		title: "PERJANJIAN KREDIT", number: "Nomor perjanjian", placeAndDate: "Tempat dan tanggal", version: "Versi naskah",
		parties: "Para pihak", lender: "Pemberi kredit", borrower: "Penerima kredit",
		facility: "Fasilitas kredit",
		agreement: "Pemberi kredit menyediakan fasilitas kredit %s (produk %s, versi %d) untuk membiayai pembelian penerima kredit. " +
			"Perjanjian ini berlaku untuk pembelian di bawah ini dan untuk setiap pembelian berikutnya dengan produk ini selama naskahnya " +
			"tidak berubah. Angka setiap pembelian berikutnya ditampilkan dan disetujui sebelum dibayar.",
		purchase: "Pembelian pertama dan rencana angsuran", checkout: "Transaksi",
		principal: "Pokok", downPayment: "Uang muka", interest: "Bunga", fee: "Biaya", total: "Jumlah",
		effective: "Suku bunga efektif", perMonth: "per bulan", perYear: "per tahun",
		no: "No.", due: "Jatuh tempo",
		datesNote: "Tanggal jatuh tempo dihitung dari tanggal perjanjian; angsuran dimulai setelah barang diterima, dan tanggalnya dapat " +
			"bergeser sesuai dengan tanggal itu.",
		lateHeading: "Denda keterlambatan", lateNone: "Tidak ada denda keterlambatan.",
		latePerMonth: "%s dari angsuran yang belum dibayar untuk setiap bulan keterlambatan yang dimulai.",
		latePerDay:   "%s dari angsuran yang belum dibayar untuk setiap hari keterlambatan.",
		grace:        "Tidak dihitung selama %d hari pertama setelah jatuh tempo.",
		waived:       "Tidak dikenakan bila tunggakan di bawah %s.",
		limited:      "Bunga, biaya, dan denda bersama-sama tidak melebihi %s dari pokok.",
		signature:    "Tanda tangan elektronik",
		signed: "Ditandatangani secara elektronik oleh %s pada %s dengan kode sekali pakai yang dikirim ke %s (tantangan %s), " +
			"berdasarkan UU No. 11 Tahun 2008 tentang Informasi dan Transaksi Elektronik, Pasal 11.",
		thousands: ".", decimal: ",", rupiah: "Rp",
		months: [12]string{"Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November", "Desember"},
	}
}

func english() wording {
	return wording{
		title: "CREDIT AGREEMENT", number: "Contract number", placeAndDate: "Place and date", version: "Version of the text",
		parties: "Parties", lender: "Lender", borrower: "Borrower",
		facility: "Credit facility",
		agreement: "The lender provides the credit facility %s (product %s, version %d) to finance purchases of the borrower. " +
			"This agreement applies to the purchase below and to every later purchase with this product while its text does not change. " +
			"The figures of each later purchase are shown and agreed to before it is paid.",
		purchase: "First purchase and instalment plan", checkout: "Checkout",
		principal: "Principal", downPayment: "Down payment", interest: "Interest", fee: "Fee", total: "Total",
		effective: "Effective annual rate", perMonth: "a month", perYear: "a year",
		no: "No.", due: "Due date",
		datesNote: "Due dates are counted from the date of this agreement; instalments begin when the goods are received, and the dates may " +
			"move with that day.",
		lateHeading: "Late fee", lateNone: "There is no late fee.",
		latePerMonth: "%s of the unpaid instalment for each month of delay that has begun.",
		latePerDay:   "%s of the unpaid instalment for each day of delay.",
		grace:        "Not counted during the first %d days after the due date.",
		waived:       "Not charged when less than %s is unpaid.",
		limited:      "Interest, fees and late fees together do not exceed %s of the principal.",
		signature:    "Electronic signature",
		signed: "Signed electronically by %s on %s with a one-time code sent to %s (challenge %s), under Indonesian Law No. 11 of 2008 on " +
			"Electronic Information and Transactions, Article 11.",
		thousands: ",", decimal: ".",
		months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	}
}

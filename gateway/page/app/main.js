// begins the page
